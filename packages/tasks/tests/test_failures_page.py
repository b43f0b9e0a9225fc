"""The page of the failures is true: its table is the code's, its texts are what a user gets."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from pathlib import Path

import pytest

from scaler_batch.aws import FAILURES, FailureKind, FailurePattern, JobFailure, JobReport, JobStatus
from scaler_batch.tasks import errors
from scaler_batch.tasks.errors import JobFailedError, TaskFailedError
from scaler_batch.tasks.failures import ERRORS, headline_of, job_failed, job_lost
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.testing import MemoryInputs, Reject, StoreDenied, Throttle

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "failures.md"
if not PAGE.exists():
    pytest.skip("the documentation is not part of this distribution", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")

JOB = "5c1d8f0e-9a3b-4f6e-8d2c-7b1a0e4f9d36"
EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"


def dead(
    status_reason: str,
    reason: str = "",
    exit_code: int | None = None,
    *log: str,
    status: JobStatus = JobStatus.FAILED,
    terminated: bool = False,
) -> JobReport:
    return JobReport(
        JOB,
        status,
        attempt=1,
        exit_code=exit_code,
        reason=reason,
        status_reason=status_reason,
        log_stream="" if exit_code is None else f"scaler-batch-runner/default/{JOB[:8]}",
        log_tail=log,
        terminated=terminated,
    )


EXAMPLES = [
    dead("Job attempt duration exceeded timeout", "", 143, "step 41 of 900", "step 42 of 900"),
    dead("Host EC2 (instance i-0b1c2d3e4f5a69788) terminated."),
    dead(NOT_STARTED, "CannotPullContainerError: Error response from daemon: manifest for runner:9 not found"),
    dead("Container Overrides length must be at most 8192"),
    dead("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job needs more memory than any instance type has."),
    dead(EXITED, "OutOfMemoryError: Container killed due to memory usage", 137, "reading the table", "joining"),
    dead(NOT_STARTED, "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s"),
    dead(NOT_STARTED, "CannotStartContainerError: Error response from daemon: exec: python: not found"),
    dead("stopped by the night watch", "", 143, terminated=True),
    dead(EXITED, "", 64),
    dead(EXITED, "", 65),
    dead(EXITED, "", 66),
    dead(EXITED, "", 76),
    dead(EXITED, "", 74),
    dead(EXITED, "", 143),
    dead(EXITED, "", 137),
    dead(EXITED, "", 127),
    dead(EXITED, "", 126),
    dead(EXITED, "", 139, "loading the model"),
    dead(EXITED, "", 0, status=JobStatus.SUCCEEDED),
    dead(EXITED, "", 1, "ModuleNotFoundError: No module named 'scaler_batch'"),
]


BLOCKED = [failure.patterns[0].status_reason or "" for failure in FAILURES if failure.kind is FailureKind.UNSCHEDULABLE]


def row(failure: JobFailure) -> str:
    """One line of the page's table."""
    patterns = " or ".join(map(words, failure.patterns))
    return f"| `{ERRORS[failure.kind].__name__}` | {patterns} | {'yes' if failure.retried else 'no'} |"


def words(pattern: FailurePattern) -> str:
    said = [
        f"status reason `{pattern.status_reason}`" if pattern.status_reason else "",
        f"reason `{pattern.reason}`" if pattern.reason else "",
        f"exit code {int(pattern.exit_code)}" if pattern.exit_code is not None else "",
        "terminated or cancelled" if pattern.terminated else "",
        f"state `{pattern.status}`" if pattern.status else "",
    ]
    return ", ".join(filter(None, said))


def section(error: TaskFailedError) -> str:
    """What the page says of a class."""
    parts = re.split(r"^### `(\w+)`\n", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[type(error).__name__]


def test_the_table_is_the_code_s():
    assert re.findall(r"^\| `\w+Error` \|.*$", TEXT, flags=re.MULTILINE) == [row(failure) for failure in FAILURES]


def test_every_failure_has_its_section():
    kinds = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, TaskFailedError)}
    assert set(re.findall(r"^### `(\w+)`$", TEXT, flags=re.MULTILINE)) == kinds - {"TaskFailedError"}


@pytest.mark.parametrize("report", EXAMPLES)
def test_a_dead_job_is_told_of_as_the_page_shows(report: JobReport):
    error = job_failed(report)
    assert f"```text\n{error}\n```" in section(error)


def waiting_row(failure: JobFailure) -> str:
    """One line of the table of what jobs wait for."""
    return f"| `{failure.patterns[0].status_reason}` | {headline_of(failure)} |"


def test_the_table_of_what_jobs_wait_for_is_the_code_s():
    wanted = [waiting_row(failure) for failure in FAILURES if failure.kind is FailureKind.UNSCHEDULABLE]
    section_of_it = section(job_failed(dead("MISCONFIGURATION:SOMETHING_NEW")))
    assert re.findall(r"^\| `[A-Z].*$", section_of_it, flags=re.MULTILINE) == wanted


def test_every_row_of_the_table_has_an_example():
    shown = [*EXAMPLES, *(dead(text.removesuffix("*")) for text in BLOCKED)]
    told = {job_failed(report).args[0].splitlines()[0] for report in shown}
    assert {f"AWS Batch job failed: {headline_of(failure)}" for failure in FAILURES} <= told


def test_a_lost_job_is_told_of_as_the_page_shows():
    assert f"```text\n{job_lost(JOB)}\n```" in section(job_lost(JOB))


async def told(benches, name: str = "a", **options) -> TaskFailedError:
    """Ask for one task and return how it fails."""
    async with benches(**options) as bench:
        bench.ask(name)
        await bench.sink.answers(1)
        (result,) = bench.sink.results.values()
        assert isinstance(result, TaskFailedError)
        assert not isinstance(result, JobFailedError)
        return result


@pytest.mark.looptime(end=10_000)
@pytest.mark.parametrize(
    "fault",
    [
        Reject(message="ClientException: Job queue my-queue does not exist"),
        Throttle(times=10_000),
    ],
    ids=["refused", "throttled"],
)
async def test_a_job_that_is_not_taken_is_told_of_as_the_page_shows(benches, fault):
    error = await told(benches, faults=[fault], backoff=Backoff(within=10))
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_a_missing_input_is_told_of_as_the_page_shows(benches, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MemoryInputs, "_hold", lambda _self, _value: b"\xab" * 16)
    error = await told(benches)
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_a_store_that_does_not_answer_is_told_of_as_the_page_shows(benches):
    async with benches(inline_limit=0) as bench:
        bench.store.broken["put"] = 100
        bench.ask("a")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_an_outcome_that_cannot_be_read_is_told_of_as_the_page_shows(benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.put(1, b"nonsense")
        await asyncio.sleep(1)
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_an_outcome_that_its_job_has_not_signed_is_told_of_as_the_page_shows(benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects[bench.outcome(1)] = b"nonsense"
        [job] = bench.jobs.jobs
        job.status, job.exit_code = JobStatus.SUCCEEDED, 0
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_outcomes_that_cannot_be_listed_are_told_of_as_the_page_shows(benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreDenied("list", times=math.inf))
        bench.jobs.die("job-1", status_reason="Host EC2 (instance i-0abc) terminated.")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
    assert f"```text\n{error}\n```" in section(error)


@pytest.mark.looptime(end=10_000)
async def test_a_batch_that_does_not_answer_is_told_of_as_the_page_shows(benches):
    error = await told(benches, faults=[Reject("describe", math.inf, "AccessDeniedException: not authorized")])
    assert f"```text\n{error}\n```" in section(error)
