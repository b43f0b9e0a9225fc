"""The jobs of the fake AWS Batch, and what AWS takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from scaler_batch.aws import JobReport, JobSpec, JobStatus
from scaler_batch.aws.limits import LARGEST_ARRAY, SHORTEST_TIMEOUT
from scaler_batch.payload import (
    Bundle,
    Call,
    JobSeal,
    RunLocation,
    RunSeal,
    Seal,
    Stored,
    SubmissionSeal,
    decode_object,
    decode_pack,
    fetch_bundle,
    locate,
)
from scaler_batch.payload.bundles import references
from scaler_batch.payload.contract import (
    KEY_IN_CONTAINER,
    KEY_PARAMETER,
    PACK_PARAMETER,
    RUN_PARAMETER,
    RUNNER_COMMAND,
    SEQUENCE_PARAMETER,
)
from scaler_batch.payload.hashing import check_digest
from scaler_batch.payload.keys import pack_key
from scaler_batch.payload.parts import Range
from scaler_batch.payload.placement import OVERRIDES_LIMIT, REQUEST_LIMIT

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ATTEMPTS: Final = 10


@dataclass
class FakeJob:
    """One container run: a single job, or a child of an array.

    Attributes:
        job_id: Its id, ``parent:index`` for a child.
        sequence: Number of its submission in the run.
        index: Its place in the array, for a child.
        seal: What it signs its outcomes with.
        bundle: What it runs; ``None`` where the pack was not to be found.
        answered: Positions of the calls whose outcomes are published.
        status: Its state.
        exit_code: The container's, if it came that far.
        reason: What ECS says.
        status_reason: What Batch says.
        terminated: Whether somebody asked for its end.
    """

    job_id: str
    sequence: int
    index: int | None
    seal: JobSeal
    bundle: Bundle | None
    status: JobStatus = JobStatus.RUNNABLE
    exit_code: int | None = None
    reason: str = ""
    status_reason: str = ""
    terminated: bool = False
    answered: set[int] = field(default_factory=set)

    @property
    def calls(self) -> Sequence[Call] | None:
        """The calls that it runs."""
        return self.bundle.calls if self.bundle else None

    @property
    def detail(self) -> JobReport:
        """What DescribeJobs shows."""
        ran = self.exit_code is not None
        return self.report(attempt=int(ran), log_stream=f"runner/default/{self.job_id}" if ran else "")

    def report(self, *, attempt: int = 0, log_stream: str = "") -> JobReport:
        """What AWS says of it; ListJobs leaves out attempts and log stream."""
        return JobReport(
            self.job_id,
            self.status,
            index=self.index,
            attempt=attempt,
            exit_code=self.exit_code,
            reason=self.reason,
            status_reason=self.status_reason,
            log_stream=log_stream,
            terminated=self.terminated,
        )


@dataclass(frozen=True)
class FakeSubmission:
    """What one SubmitJob made.

    Attributes:
        job_id: The id it answered; the parent's for an array.
        spec: What it was given.
        jobs: The single job, or the children.
    """

    job_id: str
    spec: JobSpec
    jobs: Sequence[FakeJob]

    @property
    def failed(self) -> list[FakeJob]:
        """The jobs that have failed."""
        return [job for job in self.jobs if job.status is JobStatus.FAILED]

    @property
    def report(self) -> JobReport:
        """What DescribeJobs shows; the parent of an array is pending until all its children are over."""
        if self.spec.size == 1:
            return self.jobs[0].detail
        failed = len(self.failed)
        over = all(job.status.is_final for job in self.jobs)
        final = JobStatus.FAILED if failed else JobStatus.SUCCEEDED
        return JobReport(self.job_id, final if over else JobStatus.PENDING, failed_children=failed)


def refusal(job: JobSpec) -> str | None:
    """Why AWS Batch does not take a job, in about its words; ``None`` where it does."""
    request = {
        "jobName": job.name,
        "jobQueue": job.shape.queue,
        "jobDefinition": job.shape.definition,
        "parameters": job.parameters,
        "timeout": {"attemptDurationSeconds": job.shape.timeout},
        "arrayProperties": {"size": job.size},
    }
    limits = {
        "jobName should match valid pattern": _NAME.fullmatch(job.name) is not None,
        "attemptDurationSeconds should be at least 60": job.shape.timeout >= SHORTEST_TIMEOUT,
        "array size should be between 2 and 10000": 1 <= job.size <= LARGEST_ARRAY,
        "Retry attempts must be between 1 and 10": 1 <= job.shape.attempts <= _ATTEMPTS,
        "request size should not exceed 30 KiB": len(json.dumps(request)) <= REQUEST_LIMIT,
    }
    return next((f"ClientException: {text}" for text, kept in limits.items() if not kept), None)


def overrides_too_long(job: JobSpec) -> bool:
    """Whether ECS would refuse to start a job that Batch has taken."""
    command = [job.parameters[part[5:]] if part.startswith("Ref::") else part for part in RUNNER_COMMAND]
    return len(json.dumps({"containerOverrides": [{"name": "default", "command": command}]})) > OVERRIDES_LIMIT


def unpack(job_id: str, job: JobSpec, objects: Mapping[str, bytes], payload_key: Seal | None = None) -> list[FakeJob]:
    """Make the jobs of a submission, each with its bundle of the pack."""
    sequence = int(job.parameters[SEQUENCE_PARAMETER])
    seal = _seal(job, sequence, payload_key)
    bundles = _bundles(locate(job.parameters[PACK_PARAMETER]), sequence, job.size, objects)
    if len(bundles) != job.size:
        raise AssertionError(f"{job.name} has {job.size} jobs and a pack of {len(bundles)} bundles")
    if job.size == 1:
        return [FakeJob(job_id, sequence, None, seal.job(None), bundles[0])]
    return [FakeJob(f"{job_id}:{index}", sequence, index, seal.job(index), each) for index, each in enumerate(bundles)]


def _seal(job: JobSpec, sequence: int, payload_key: Seal | None) -> SubmissionSeal:
    run, key = RunLocation.parse(job.parameters[RUN_PARAMETER]), job.parameters[KEY_PARAMETER]
    if payload_key is not None and key == f"{KEY_IN_CONTAINER}{payload_key.fingerprint}":
        return RunSeal(run, payload_key).submission(sequence)
    return SubmissionSeal(str(run), sequence, Seal.parse(key))


def _bundles(pack: bytes | Stored, sequence: int, size: int, objects: Mapping[str, bytes]) -> Sequence[Bundle | None]:
    """Read all bundles at once; the runner's way, one bundle a reading, takes minutes for an array of ten thousand."""
    found = pack if isinstance(pack, bytes) else objects.get(pack_key(sequence))
    if found is None:
        return [None] * size
    if isinstance(pack, bytes) or not pack.table:
        if isinstance(pack, Stored):
            check_digest(found, pack.digest, pack_key(sequence))
        return [_resolved(bundle, objects) for bundle in decode_pack(found)]

    def read(ranges: Sequence[Range]) -> list[bytes]:
        return [found[start:end] for start, end in ranges]

    return [_resolved(fetch_bundle(read, pack.table, pack.digest, index), objects) for index in range(size)]


def _resolved(bundle: Bundle, objects: Mapping[str, bytes]) -> Bundle:
    fetched = {each: decode_object(objects[each.key], each) for each in references(bundle.calls)}
    return bundle.resolved(fetched)
