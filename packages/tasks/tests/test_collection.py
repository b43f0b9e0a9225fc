"""Fetching and opening outcomes, those of hostile bytes too."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler_batch.aws import JobStatus
from scaler_batch.payload import Origin, Outcome, RunLocation, RunSeal, Seal, Status, body_size, encode_outcomes
from scaler_batch.payload.contract import KEY_PARAMETER
from scaler_batch.payload.keys import interruption_key, outcome_key
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.errors import (
    OutcomeRefusedError,
    OutcomeUnreadableError,
    SpotReclaimedError,
    StorageUnavailableError,
)
from scaler_batch.tasks.io.collect import AT_ONCE
from scaler_batch.tasks.testing import StoreDenied, StoreUnavailable

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any

ORIGIN = Origin("job-1", 1, "host", "3.12.0", {})


def sealed(*outcomes: Outcome) -> bytes:
    return b"".join(encode_outcomes(outcomes, ORIGIN))


async def test_an_outcome_for_another_task_is_no_answer(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.put(1, sealed(Outcome(1, Status.SUCCESS, b"?")))
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, OutcomeUnreadableError)
        assert "an outcome of call 1 of 1" in str(error)


async def test_outcomes_of_more_calls_than_the_job_has_are_not_believed(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        outcomes = [Outcome(position, Status.SUCCESS, b"abc"[position : position + 1]) for position in (2, 0, 1)]
        bench.put(1, sealed(*outcomes))
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], OutcomeUnreadableError)
        assert "3 outcomes of 1 calls" in str(bench.sink.results[b"a"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.binary(max_size=200))
async def test_an_unreadable_outcome_is_an_answer_too(benches: Benches, damage: bytes):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.put(1, damage)
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, OutcomeUnreadableError)
        assert "outcomes/1" in str(error)


async def test_an_outcome_that_cannot_be_fetched_is_said_so(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreUnavailable("get", times=math.inf))
        bench.jobs.succeed("job-1")
        await asyncio.sleep(800)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, StorageUnavailableError)
        assert "the task has run" in str(error)
        await asyncio.sleep(100)
        assert bench.outcome(1) in bench.store.objects, "no outcome is removed unread"


async def test_an_outcome_that_cannot_be_fetched_at_once_is_fetched_later(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreUnavailable("get", times=8))
        bench.jobs.succeed("job-1", value=b"done")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_outcomes_that_must_not_be_read_fail_their_tasks_after_a_minute_however_many_there_are(benches: Benches):
    async with benches(transfers=2) as bench:
        for number in range(40):
            bench.ask(f"t{number}")
        await bench.submitted()
        bench.store.faults.append(StoreDenied("get", times=math.inf))
        started = asyncio.get_running_loop().time()
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await bench.sink.answers(40)
        assert 60 <= asyncio.get_running_loop().time() - started < 150
        assert all(isinstance(error, StorageUnavailableError) for error in bench.sink.results.values())


async def test_an_outcome_that_was_removed_is_not_waited_for(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        get = bench.store.get

        async def removed(key: str) -> bytes:
            bench.store.objects.pop(key, None)
            return await get(key)

        bench.store.get = removed
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], StorageUnavailableError)
        assert asyncio.get_running_loop().time() < 10


async def test_a_large_outcome_is_opened_beside_the_event_loop(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        value = random.Random(1).randbytes(2 * AT_ONCE)
        bench.jobs.succeed("job-1", value=value)
        assert len(bench.store.objects[bench.outcome(1)]) > AT_ONCE
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == value


async def test_the_outcome_of_a_task_that_was_cancelled_meanwhile_is_not_fetched(benches: Benches):
    async with benches(transfers=1) as bench:
        bench.sink.gate.clear()
        for name in "abcde":
            bench.ask(name)
        await asyncio.sleep(1)
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await asyncio.sleep(10)
        fetched = bench.store.calls["get"]
        for name in (b"a", b"b", b"c", b"d", b"e"):
            bench.manager.cancel(name, force=True)
        bench.sink.gate.set()
        await asyncio.sleep(10)
        assert bench.store.calls["get"] == fetched < 5


async def test_outcomes_are_fetched_side_by_side(benches: Benches):
    async with benches(transfers=8) as bench:
        for number in range(30):
            bench.ask(f"t{number}")
        await asyncio.sleep(1)
        fetching = peak = 0
        get = bench.store.get

        async def slow(key: str) -> bytes:
            nonlocal fetching, peak
            fetching += 1
            peak = max(peak, fetching)
            await asyncio.sleep(1)
            fetching -= 1
            return await get(key)

        bench.store.get = slow
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await bench.sink.answers(30)
        assert peak == 8


@pytest.mark.parametrize("error", [RecursionError, MemoryError, ZeroDivisionError])
async def test_an_outcome_whose_reading_fails_unexpectedly_fails_its_task_and_no_other(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    async with benches() as bench:
        for number, name in enumerate("ab", start=1):
            bench.ask(name)
            await bench.submitted(number)

        def choke(sealed: bytes, **_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr("scaler_batch.tasks.io.collect.decode_outcomes", choke)
            bench.jobs.succeed("job-1")
            await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], OutcomeUnreadableError)
        bench.jobs.succeed("job-2", value=b"fine")
        await bench.sink.answers(2)
        assert bench.sink.results[b"b"].value == b"fine"


async def test_more_than_a_little_is_opened_beside_the_event_loop_even_if_it_is_packed_small(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1", value=bytes(64 * AT_ONCE))
        packed = bench.store.objects[bench.outcome(1)]
        assert len(packed) < AT_ONCE < body_size(packed)
        await bench.sink.answers(1)


class Hostile:
    """What somebody puts in the place of the outcome of a job."""

    def __init__(self, bench: Any, sequence: int = 1, child: int | None = None) -> None:
        self._seal = bench.seal(sequence, child)
        self.key = self._seal.outcome_key()
        self.envelope = sealed(Outcome(0, Status.SUCCESS, b"forged"))

    def of(self, kind: str) -> bytes:
        run = RunLocation("bucket", "runs", "run-1", "eu-west-1")
        stranger = RunSeal(run, Seal.new()).submission(1).job(None)
        signed = {
            "junk": b"junk",
            "nothing": b"",
            "unsigned": self.envelope,
            "signed with another key": b"".join(stranger.sign(self.key, [self.envelope])),
            "signed for another place": b"".join(self._seal.sign(self._seal.outcome_key(0, 1), [self.envelope])),
            "large": self.envelope + bytes(4 * AT_ONCE),
            "cut off": b"".join(self._seal.sign(self.key, [self.envelope]))[:-1],
        }
        return signed[kind]


KINDS = [
    "junk", "nothing", "unsigned", "signed with another key", "signed for another place", "large", "cut off",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_job_has_not_signed_is_counted_and_answers_nothing(
    benches: Benches, kind: str, caplog: pytest.LogCaptureFixture
):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        hostile = Hostile(bench)
        bench.store.objects[hostile.key] = hostile.of(kind)
        await asyncio.sleep(30)
        assert not bench.sink.announced
        assert bench.manager.snapshot().refused == {"unsigned": 1}
        assert caplog.text.count("refused what lay in the place of an outcome of job job-1") == 1
        elsewhere = bench.seal(1).outcome_key(0, 1)
        honest = encode_outcomes([Outcome(0, Status.SUCCESS, b"honest")], ORIGIN)
        bench.store.objects[elsewhere] = b"".join(bench.seal(1).sign(elsewhere, honest))
        await bench.sink.answers(1)
        assert bytes(bench.sink.results[b"a"].value) == b"honest"


async def test_a_task_whose_answer_was_refused_waits_for_the_end_of_its_job(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects[Hostile(bench).key] = b"junk"
        await asyncio.sleep(1000)
        assert not bench.sink.announced
        assert bench.manager.snapshot().jobs == 1, "its job may run"
        [job] = bench.jobs.jobs
        job.status, job.exit_code = JobStatus.SUCCEEDED, 0
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, OutcomeRefusedError)
        assert "Find out who else may write" in str(error)
        assert "job-1" in str(error)


async def test_a_job_whose_answer_was_refused_and_that_died_is_told_of_as_any_other(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects[Hostile(bench).key] = b"junk"
        await asyncio.sleep(10)
        bench.jobs.die("job-1", status_reason="Host EC2 (instance i-0abc) terminated.")
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], SpotReclaimedError)


async def test_a_task_of_a_bundle_whose_answer_was_refused_runs_again_by_itself(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        for name in "ab":
            bench.ask(name)
        await bench.submitted()
        [job] = bench.jobs.jobs
        assert len(job.calls) == 2
        bench.store.objects[bench.outcome(1)] = b"junk"
        await asyncio.sleep(10)
        job.status, job.exit_code = JobStatus.SUCCEEDED, 0
        await bench.jobs.has_taken(2)
        for job_id in list(bench.jobs.submissions)[1:]:
            bench.jobs.succeed(job_id, value=b"honest")
        await bench.sink.answers(2)
        assert {bytes(result.value) for result in bench.sink.results.values()} == {b"honest"}


async def test_a_cancelled_task_is_not_waited_for_because_its_answer_was_refused(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        get, fetched = bench.store.get, asyncio.Event()

        async def late(key: str) -> bytes:
            fetched.set()
            await asyncio.sleep(5)
            return await get(key)

        bench.store.get = late
        bench.store.objects[Hostile(bench).key] = b"junk"
        await fetched.wait()
        bench.manager.cancel(b"a", force=True)
        await asyncio.sleep(10)
        snapshot = bench.manager.snapshot()
        assert (snapshot.jobs, snapshot.tasks, snapshot.refused) == (0, 0, {"unsigned": 1})


async def test_names_that_a_job_has_not_given_are_not_even_fetched(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        for name in "ab":
            bench.ask(name)
        await bench.submitted()
        names = ["0" * 32, bench.outcome(1).rpartition(".")[2]]
        planted = [outcome_key(1, child, 1, name) for child in (None, 0) for name in names]
        planted += [interruption_key(1, None, attempt, "0" * 32) for attempt in range(3)]
        bench.store.objects |= dict.fromkeys(planted, b"planted")
        before = bench.jobs.calls["describe"]
        await asyncio.sleep(5)
        assert bench.store.calls["get"] == 0
        assert bench.jobs.calls["describe"] - before <= 3, "no interruption is believed either"
        bench.jobs.succeed("job-1", value=b"honest")
        await bench.sink.answers(2)
        assert bench.store.calls["get"] == 1
        assert bench.manager.snapshot().refused == {}


async def test_containers_that_have_the_payload_key_are_told_no_other(benches: Benches):
    key = Seal.new()
    async with benches(payload_key=key) as bench:
        bench.ask("a")
        await bench.submitted()
        parameters = bench.jobs.submissions["job-1"].spec.parameters
        assert parameters[KEY_PARAMETER] == f"container:{key.fingerprint}"
        run = RunLocation("bucket", "runs", "run-1", "eu-west-1")
        secrets = [key.reveal(), RunSeal(run, key).submission(1).key.reveal()]
        assert not any(secret in value for secret in secrets for value in parameters.values())
        bench.jobs.succeed("job-1", value=b"honest")
        await bench.sink.answers(1)
        assert bytes(bench.sink.results[b"a"].value) == b"honest"


async def test_no_key_is_shown_where_its_holders_are(benches: Benches, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    key = Seal.new()
    assert key.reveal() not in repr(TaskManagerSettings("queue", "definition", payload_key=key))
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        spec = bench.jobs.submissions["job-1"].spec
        secret = spec.parameters[KEY_PARAMETER]
        assert len(secret) == 43
        shown = [repr(spec), caplog.text, repr(bench.manager.snapshot()), repr(bench.jobs.submissions)]
        assert not any(secret in text for text in shown)
