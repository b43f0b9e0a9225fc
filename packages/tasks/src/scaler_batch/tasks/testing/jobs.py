"""The jobs of the fake AWS Batch, and what AWS takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scaler_batch.payload import Call, inline_pack
from scaler_batch.payload.contract import PACK_IN_STORE, PACK_PARAMETER, RUNNER_COMMAND, SEQUENCE_PARAMETER
from scaler_batch.payload.envelope import Kind, unseal
from scaler_batch.payload.keys import pack_key
from scaler_batch.payload.placement import OVERRIDES_LIMIT, REQUEST_LIMIT
from scaler_batch.payload.sections import Buffer, split
from scaler_batch.tasks.batching import LARGEST_ARRAY
from scaler_batch.tasks.settings import SHORTEST_TIMEOUT
from scaler_batch.tasks.vocabulary import JobReport, JobSpec, JobStatus

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass
class FakeJob:
    """One container run: a single job, or a child of an array.

    Attributes:
        job_id: Its id, ``parent:index`` for a child.
        sequence: Number of its submission in the run.
        index: Its place in the array, for a child.
        calls: Its bundle; ``None`` where the pack was not to be found.
        status: Its state.
        exit_code: The container's, if it came that far.
        reason: What ECS says.
        status_reason: What Batch says.
    """

    job_id: str
    sequence: int
    index: int | None
    calls: Sequence[Call] | None
    status: JobStatus = JobStatus.RUNNABLE
    exit_code: int | None = None
    reason: str = ""
    status_reason: str = ""

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
            ran = self.jobs[0].exit_code is not None
            return self.jobs[0].report(attempt=int(ran), log_stream=f"runner/default/{self.job_id}" if ran else "")
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
        "request size should not exceed 30 KiB": len(json.dumps(request)) <= REQUEST_LIMIT,
    }
    return next((f"ClientException: {text}" for text, kept in limits.items() if not kept), None)


def overrides_too_long(job: JobSpec) -> bool:
    """Whether ECS would refuse to start a job that Batch has taken."""
    command = [job.parameters[part[5:]] if part.startswith("Ref::") else part for part in RUNNER_COMMAND]
    return len(json.dumps({"containerOverrides": [{"name": "default", "command": command}]})) > OVERRIDES_LIMIT


def unpack(job_id: str, job: JobSpec, objects: Mapping[str, Buffer]) -> list[FakeJob]:
    """Make the jobs of a submission, each with its bundle of the pack."""
    sequence = int(job.parameters[SEQUENCE_PARAMETER])
    inline = job.parameters[PACK_PARAMETER]
    pack = objects.get(pack_key(sequence)) if inline == PACK_IN_STORE else inline_pack(inline)
    bundles: Sequence[list[Call] | None] = _bundles(pack) if pack is not None else [None] * job.size
    if len(bundles) != job.size:
        raise AssertionError(f"{job.name} has {job.size} jobs and a pack of {len(bundles)} bundles")
    if job.size == 1:
        return [FakeJob(job_id, sequence, None, bundles[0])]
    return [FakeJob(f"{job_id}:{index}", sequence, index, bundle) for index, bundle in enumerate(bundles)]


def _bundles(pack: Buffer) -> list[list[Call]]:
    """Read all bundles at once; the runner's way, one bundle a reading, takes minutes for an array of ten thousand."""
    index, values = split(unseal(Kind.PACK, pack))
    return [
        [
            Call(bytes.fromhex(task), values[serializer], values[function], tuple(values[place] for place in arguments))
            for task, serializer, function, arguments in bundle
        ]
        for bundle in index["bundles"]
    ]
