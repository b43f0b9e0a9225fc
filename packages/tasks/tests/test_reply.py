"""Handing results over: once each, several at a time, and no more data in memory than allowed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.payload import Status
from scaler_batch.tasks import TaskRequest, Verdict
from scaler_batch.tasks.errors import OutcomeUnreadableError

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def test_context_comes_back_with_the_reply(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        token = object()
        request = bench.request("a")
        bench.manager.submit(TaskRequest(b"a", request.serializer, request.function, context=token))
        await bench.sink.answers(1)
        assert bench.sink.announced[0][0].context is token


async def test_results_are_what_the_calls_came_to(benches: Benches):
    async with benches() as bench:
        bench.ask("fine")
        await bench.submitted()
        bench.ask("bad")
        await bench.submitted(2)
        bench.jobs.succeed("job-1", value=b"result")
        bench.jobs.raise_("job-2", error=KeyError("no such thing"))
        await bench.sink.answers(2)
        fine, bad = bench.sink.results[b"fine"], bench.sink.results[b"bad"]
        assert (fine.status, bytes(fine.value)) == (Status.SUCCESS, b"result")
        assert bad.status is Status.RAISED
        assert b"no such thing" in bytes(bad.value)


async def test_no_more_results_are_stored_at_a_time_than_allowed(benches: Benches):
    async with benches(run=lambda call: b"x", transfers=3) as bench:
        bench.sink.gate.clear()
        for number in range(50):
            bench.ask(f"t{number}")
        await asyncio.sleep(100)
        assert bench.sink.preparing == 3
        assert bench.store.calls["get"] <= 9, "three being stored, three that wait, three in the collectors' hands"
        bench.sink.gate.set()
        await bench.sink.answers(50)


async def test_a_slow_reply_does_not_hold_up_the_others(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        slow = asyncio.Event()
        prepare = bench.sink.prepare

        async def prepare_slowly(request: TaskRequest, result: Any) -> Any:
            if request.task_id == b"slow":
                await slow.wait()
            return await prepare(request, result)

        bench.sink.prepare = prepare_slowly
        for name in ("slow", "a", "b"):
            bench.ask(name)
        await bench.sink.answers(2)
        assert sorted(bench.answered()) == ["a", "b"]
        slow.set()
        await bench.sink.answers(3)


async def test_a_task_that_ended_is_not_even_prepared(benches: Benches):
    async with benches(run=lambda call: b"x", transfers=1) as bench:
        bench.sink.gate.clear()
        for name in ("first", "ended", "going"):
            bench.ask(name)
        await bench.sink.is_preparing()
        await asyncio.sleep(10)
        assert bench.manager.cancel(b"ended", force=True) is Verdict.CANCELLED
        bench.sink.gate.set()
        await bench.sink.answers(2)
        assert bench.answered() == ["first", "going"]
        assert not bench.sink.discarded


class BrokenError(Exception):
    """Something that no sink may raise."""


async def test_a_sink_that_breaks_its_promise_takes_the_manager_down_and_nothing_hangs(benches: Benches):
    async def broken(request: TaskRequest, result: Any) -> Any:
        raise BrokenError

    async def play() -> None:
        async with benches(run=lambda call: b"x") as bench:
            bench.sink.prepare = broken
            bench.ask("a")
            await bench.manager.drain()

    with pytest.raises(ExceptionGroup) as caught:
        await play()
    assert caught.value.subgroup(BrokenError) is not None


async def test_a_result_that_cannot_be_prepared_fails_its_task_and_no_other(benches: Benches):
    async with benches(run=lambda call: bytes(call.arguments[-1])) as bench:
        prepare = bench.sink.prepare

        async def choke(request, result):
            if getattr(result, "value", None) == b"bad":
                raise OverflowError("int too large to convert to float")
            return await prepare(request, result)

        bench.sink.prepare = choke
        for name in ("good", "bad", "fine"):
            bench.ask(name)
        await bench.sink.answers(3)
        assert isinstance(bench.sink.results[b"bad"], OutcomeUnreadableError)
        assert "OverflowError" in str(bench.sink.results[b"bad"])
        assert bench.sink.results[b"fine"].value == b"fine"
