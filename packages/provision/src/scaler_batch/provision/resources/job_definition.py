"""The job definition: what a job of the task manager's is, but for its parameters.

A definition cannot be changed, only followed by another revision. Jobs that wait or run keep the revision they were
submitted with, so the one before the newest stays; older ones are deregistered. AWS keeps what is deregistered for a
while as INACTIVE, and offers no way to remove it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from scaler_batch.aws import PREFIX_TAG
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import NONCE_TAG, Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import ContainerPropertiesOutputTypeDef, JobDefinitionTypeDef

    from scaler_batch.provision.vocabulary import Owner

KEPT_REVISIONS: Final = 2


@dataclass(frozen=True, slots=True)
class JobDefinitionSpecification(Specification):
    """A job definition.

    Attributes:
        image: URI of the container image.
        command: The runner and its arguments, ``Ref::`` references among them.
        parameters: Their values in a job that is submitted without.
        environment: Variables of the container.
        vcpus: vCPUs of the container.
        memory_mb: Memory of the container, in MB.
        timeout_seconds: When a job is stopped that was submitted without a timeout of its own.
        job_role: ARN of the role of the code in the container.
        execution_role: ARN of the role that starts the container.
        log_group: Where the container's output goes.
        log_region: Region of the log group.
        gpus: Graphics processors of the container.
        secrets: Variables of the container that ECS fills in when it starts, by name: ARNs of parameters. It reads
            them in the execution role, so there must be one.
        superseded: Revisions, still active, that are older than those to be kept; none are wanted.
    """

    image: str
    command: tuple[str, ...]
    parameters: Mapping[str, str]
    environment: Mapping[str, str]
    vcpus: int
    memory_mb: int
    timeout_seconds: int
    job_role: str
    execution_role: str
    log_group: str
    log_region: str
    gpus: int = 0
    secrets: Mapping[str, str] = field(default_factory=dict)
    superseded: tuple[int, ...] = ()

    @property
    def requirements(self) -> dict[str, int]:
        """What the container takes of its instance, by AWS Batch's names."""
        sizes = {"VCPU": self.vcpus, "MEMORY": self.memory_mb, "GPU": self.gpus}
        return {kind: size for kind, size in sizes.items() if size}


class JobDefinitionHandler(Handler[JobDefinitionSpecification]):
    """Looks after the job definition in all its revisions."""

    def __init__(self, batch: BatchClient) -> None:
        self._batch = batch

    def observe(self, name: str) -> Observed[JobDefinitionSpecification] | None:
        """Look at the newest active revision, and count those of the same owner behind it."""
        revisions = self._active(name)
        if not revisions:
            return None
        newest = revisions[0]
        superseded = tuple(one["revision"] for one in _of_owner(revisions, newest.get("tags", {}))[KEPT_REVISIONS:])
        return Observed(
            name, newest["jobDefinitionArn"], _specification(newest, superseded), dict(newest.get("tags", {}))
        )

    def create(self, wanted: Wanted[JobDefinitionSpecification]) -> str:
        """Register a revision; its ARN carries its number."""
        specification = wanted.specification
        registered = self._batch.register_job_definition(
            jobDefinitionName=wanted.name,
            type="container",
            platformCapabilities=["EC2"],
            parameters=specification.parameters,
            timeout={"attemptDurationSeconds": specification.timeout_seconds},
            containerProperties={
                "image": specification.image,
                "command": specification.command,
                "environment": [{"name": name, "value": value} for name, value in specification.environment.items()],
                "resourceRequirements": cast(
                    "Any", [{"type": kind, "value": str(size)} for kind, size in specification.requirements.items()]
                ),
                "secrets": [{"name": name, "valueFrom": arn} for name, arn in specification.secrets.items()],
                "jobRoleArn": specification.job_role,
                "executionRoleArn": specification.execution_role,
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": specification.log_group,
                        "awslogs-region": specification.log_region,
                    },
                },
            },
            tags=wanted.tags,
        )
        return registered["jobDefinitionArn"]

    def change(self, wanted: Wanted[JobDefinitionSpecification], fields: Collection[str]) -> str | None:
        """Register another revision where one is needed, and deregister what is too old."""
        arn = self.create(wanted) if set(fields) - {"superseded"} else None
        for revision in _of_owner(self._active(wanted.name), wanted.tags)[KEPT_REVISIONS:]:
            self._batch.deregister_job_definition(jobDefinition=revision["jobDefinitionArn"])
        return arn

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._batch.tag_resource(resourceArn=arn, tags=tags)

    def adopt(self, observed: Observed[JobDefinitionSpecification], owner: Owner) -> None:
        """Put the owner's tags on the newest revision, and on those that bore the same as it did."""
        for revision in _of_owner(self._active(observed.name), observed.tags):
            self.tag(revision["jobDefinitionArn"], owner.tags)

    def remove(self, observed: Observed[JobDefinitionSpecification]) -> None:
        """Deregister every active revision that bears the tags of the newest."""
        for revision in _of_owner(self._active(observed.name), observed.tags):
            self._batch.deregister_job_definition(jobDefinition=revision["jobDefinitionArn"])

    def _active(self, name: str) -> list[JobDefinitionTypeDef]:
        pages = self._batch.get_paginator("describe_job_definitions").paginate(jobDefinitionName=name, status="ACTIVE")
        found = [definition for page in pages for definition in page["jobDefinitions"]]
        return sorted(found, key=lambda definition: definition["revision"], reverse=True)


def _of_owner(revisions: list[JobDefinitionTypeDef], tags: Mapping[str, str]) -> list[JobDefinitionTypeDef]:
    """Those whose tags name the same owner as these do: anybody may register a revision under our name."""
    owner = [tags.get(key) for key in (PREFIX_TAG, NONCE_TAG)]
    return [one for one in revisions if [one.get("tags", {}).get(key) for key in (PREFIX_TAG, NONCE_TAG)] == owner]


def _specification(found: JobDefinitionTypeDef, superseded: tuple[int, ...]) -> JobDefinitionSpecification:
    container = found.get("containerProperties", {})
    log = container.get("logConfiguration", {}).get("options", {})
    return JobDefinitionSpecification(
        image=container.get("image", ""),
        command=tuple(container.get("command", [])),
        parameters=dict(found.get("parameters", {})),
        environment={pair.get("name", ""): pair.get("value", "") for pair in container.get("environment", [])},
        vcpus=_requirement(container, "VCPU"),
        memory_mb=_requirement(container, "MEMORY"),
        timeout_seconds=found.get("timeout", {}).get("attemptDurationSeconds", 0),
        job_role=container.get("jobRoleArn", ""),
        execution_role=container.get("executionRoleArn", ""),
        log_group=log.get("awslogs-group", ""),
        log_region=log.get("awslogs-region", ""),
        gpus=_requirement(container, "GPU"),
        secrets={one["name"]: one["valueFrom"] for one in container.get("secrets", [])},
        superseded=superseded,
    )


def _requirement(container: ContainerPropertiesOutputTypeDef, kind: str) -> int:
    requirements = container.get("resourceRequirements", [])
    return next((int(float(one["value"])) for one in requirements if one["type"] == kind), 0)
