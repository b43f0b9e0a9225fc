"""Credentials that AWS refuses: everything waits, it is said once, and goes on by itself when they are renewed."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from scaler_batch.aws import Classification, CredentialsError, ServiceError
from scaler_batch.payload import Status
from scaler_batch.payload import errors as payload_errors
from scaler_batch.tasks.credentials import Credentials
from scaler_batch.tasks.errors import StorageUnavailableError, SubmitRejectedError
from scaler_batch.tasks.testing import ANY, Expired, StoreExpired

pytestmark = pytest.mark.looptime(end=1_000_000)

Benches = Any

HOURS = 3600.0


class SignedOut:
    """Credentials of a bench that have expired, at both services."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._faults = Expired(ANY, math.inf), StoreExpired(ANY, math.inf)
        bench.jobs.faults.append(self._faults[0])
        bench.store.faults.append(self._faults[1])

    def sign_in(self) -> None:
        self._bench.jobs.faults.remove(self._faults[0])
        self._bench.store.faults.remove(self._faults[1])


@pytest.mark.long
async def test_everything_waits_for_hours_and_goes_on_by_itself(benches: Benches):
    async with benches(inline_limit=0) as bench:
        bench.ask("running")
        await bench.submitted()
        bench.jobs.publish("job-1", value=b"done")
        signed_out = SignedOut(bench)
        bench.ask("waiting")
        await asyncio.sleep(10 * HOURS)
        assert not bench.sink.announced
        assert not bench.jobs.terminated
        assert bench.outcome(1) in bench.store.objects
        signed_out.sign_in()
        await bench.submitted(2)
        bench.jobs.succeed("job-2", value=b"done too")
        await bench.sink.answers(2)
        assert {result.value for result in bench.sink.results.values()} == {b"done", b"done too"}
        assert bench.manager.snapshot().credentials_refused == 0


async def test_a_fetch_waits_for_credentials_and_the_outcome_is_not_removed(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        fault = StoreExpired("get", math.inf)
        bench.store.faults.append(fault)
        bench.jobs.succeed("job-1", value=b"done")
        await asyncio.sleep(5 * HOURS)
        assert not bench.sink.announced
        bench.store.faults.remove(fault)
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_a_job_that_is_to_be_ended_is_ended_when_credentials_are_back(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        signed_out = SignedOut(bench)
        bench.manager.cancel(b"a", force=True)
        await asyncio.sleep(3 * HOURS)
        assert not bench.jobs.terminated
        signed_out.sign_in()
        await asyncio.sleep(60)
        assert bench.jobs.terminated == ["job-1"]


async def test_it_goes_on_within_half_a_minute(benches: Benches):
    async with benches() as bench:
        signed_out = SignedOut(bench)
        bench.ask("a")
        await asyncio.sleep(8 * HOURS)
        signed_out.sign_in()
        started = asyncio.get_running_loop().time()
        await bench.submitted()
        assert asyncio.get_running_loop().time() - started <= 30.1


async def test_it_is_said_once_and_again_ever_more_rarely_and_once_when_it_is_over(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with benches() as bench:
        for number in range(20):
            bench.ask(f"t{number}")
        await bench.submitted()
        signed_out = SignedOut(bench)
        bench.ask("another")
        bench.manager.cancel(b"t1", force=True)
        await asyncio.sleep(59)
        assert bench.manager.snapshot().credentials_refused == pytest.approx(59, abs=1)
        refusals = [each for each in caplog.records if "refuses the AWS credentials" in each.getMessage()]
        assert len(refusals) == 1
        assert refusals[0].levelname == "ERROR"
        assert "run aws sso login" in refusals[0].getMessage()
        await asyncio.sleep(10 * HOURS)
        refusals = [each for each in caplog.records if "refuses the AWS credentials" in each.getMessage()]
        assert 8 <= len(refusals) <= 18
        assert not [each for each in caplog.records if each.levelname == "WARNING"], "nobody else complains"
        signed_out.sign_in()
        await asyncio.sleep(60)
        assert caplog.text.count("takes the credentials again") == 1


@pytest.mark.long
async def test_after_a_day_a_queued_task_fails_and_says_how_to_renew(benches: Benches):
    async with benches() as bench:
        SignedOut(bench)
        bench.ask("a")
        await asyncio.sleep(23.9 * HOURS)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, SubmitRejectedError)
        assert "run aws sso login" in str(error)
        assert "queue" not in str(error)


async def test_patience_is_a_setting_and_holds_for_tasks_that_run_too(benches: Benches):
    async with benches(credentials_patience=600.0) as bench:
        bench.ask("a")
        await bench.submitted()
        SignedOut(bench)
        bench.jobs.publish("job-1")
        await asyncio.sleep(590)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        assert asyncio.get_running_loop().time() < 720
        assert "aws sso login" in str(bench.sink.results[b"a"])
        assert bench.outcome(1) in bench.store.objects


async def test_input_that_cannot_be_stored_waits_too(benches: Benches):
    async with benches(object_threshold=10) as bench:
        fault = StoreExpired("put", math.inf)
        bench.store.faults.append(fault)
        bench.ask("a", b"x" * 100)
        await asyncio.sleep(2 * HOURS)
        bench.store.faults.remove(fault)
        await bench.submitted()
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].status is Status.SUCCESS


async def test_a_stop_without_credentials_ends_in_time_and_names_the_jobs(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        SignedOut(bench)
        started = asyncio.get_running_loop().time()
        assert not await bench.manager.stop(within=10.0)
        assert asyncio.get_running_loop().time() - started == pytest.approx(10.0, abs=0.1)
        assert "job-1" in caplog.text


async def test_two_services_are_one_complaint_and_over_when_both_take_them(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    loop = asyncio.get_running_loop()
    credentials = Credentials(100.0, loop.time)
    good: set[str] = set()

    async def call(service: str) -> str:
        await asyncio.sleep(0.01)
        if service not in good:
            raise payload_errors.CredentialsError("expired", key="")
        return service

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(credentials.hold(each, lambda each=each: call(each))) for each in ("S3", "Batch")]
        await asyncio.sleep(10)
        assert caplog.text.count("refuses") == 1
        good.add("S3")
        await calls[0]
        assert credentials.refused_for() > 0
        assert "takes the credentials again" not in caplog.text
        good.add("Batch")
    assert credentials.refused_for() == 0
    assert caplog.text.count("takes the credentials again") == 1


async def test_a_late_answer_to_an_early_call_does_not_end_the_wait():
    loop = asyncio.get_running_loop()
    credentials = Credentials(100.0, loop.time)

    async def slow() -> None:
        await asyncio.sleep(20)

    async def refused() -> None:
        raise CredentialsError("expired")

    async with asyncio.TaskGroup() as group:
        group.create_task(credentials.hold("S3", slow))
        await asyncio.sleep(1)
        waiting = group.create_task(credentials.hold("S3", refused))
        await asyncio.sleep(30)
        assert credentials.refused_for() > 20
        waiting.cancel()


async def test_other_errors_are_nobodys_credentials():
    async def broken() -> None:
        raise ServiceError("no", Classification.REPEAT)

    credentials = Credentials()
    with pytest.raises(ServiceError):
        await credentials.hold("S3", broken)
    assert credentials.refused_for() == 0


async def test_storage_that_is_given_up_for_want_of_credentials_is_said_so(benches: Benches):
    async with benches(credentials_patience=60.0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreExpired("list", math.inf))
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], StorageUnavailableError)
