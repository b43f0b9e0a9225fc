"""The one description of what is wanted. A pure function: settings and network in, every resource out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import PREFIX_TAG
from scaler_batch.payload.contract import (
    KEY_PARAMETER,
    PACK_IN_STORE,
    PACK_PARAMETER,
    PAYLOAD_KEY_VARIABLE,
    RUN_PARAMETER,
    RUNNER_COMMAND,
    SEQUENCE_PARAMETER,
)
from scaler_batch.provision import policies
from scaler_batch.provision.instance_types import GPU_IMAGE
from scaler_batch.provision.release import VERSION
from scaler_batch.provision.resources.batch_status import ENABLED
from scaler_batch.provision.resources.bucket import ENCRYPTION, BucketSpecification, Expiry
from scaler_batch.provision.resources.compute_environment import ON_DEMAND, SPOT, ComputeEnvironmentSpecification
from scaler_batch.provision.resources.instance_profile import InstanceProfileSpecification
from scaler_batch.provision.resources.job_definition import JobDefinitionSpecification
from scaler_batch.provision.resources.job_queue import JobQueueSpecification, TimeLimit
from scaler_batch.provision.resources.launch_template import LaunchTemplateSpecification
from scaler_batch.provision.resources.log_group import LogGroupSpecification
from scaler_batch.provision.resources.payload_key import PayloadKeySpecification
from scaler_batch.provision.resources.repository import RepositorySpecification
from scaler_batch.provision.resources.role import RoleSpecification
from scaler_batch.provision.resources.scheduling_policy import SchedulingPolicySpecification
from scaler_batch.provision.resources.security_group import SecurityGroupSpecification
from scaler_batch.provision.settings import container_memory
from scaler_batch.provision.vocabulary import VERSION_TAG, Kind, Owner, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.resources.network import Network
    from scaler_batch.provision.settings import Settings

TASK_PREFIX: Final = "scaler-tasks"
"""Where tasks lie in the bucket: the worker's default for ``--s3-prefix``, and all that the job role opens."""

LOG_DAYS: Final = 30

SHARE_SECONDS: Final = 3600
"""How far back the use of a share counts in a fair-share queue: as long as a job may run by default."""

DEFAULT_PARAMETERS: Final[Mapping[str, str]] = {
    RUN_PARAMETER: "none",
    SEQUENCE_PARAMETER: "0",
    PACK_PARAMETER: PACK_IN_STORE,
    KEY_PARAMETER: "none",
}
"""Of a job that was submitted by hand, without any: the runner says that it has no run, and ends."""

TIME_LIMITS: Final = (
    TimeLimit("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", seconds=4 * 3600),
    TimeLimit("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", seconds=600),
    TimeLimit("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", seconds=600),
)
"""When a job that cannot start is cancelled. Capacity comes back; a wrong size never does, so it gets AWS's minimum.

AWS Batch looks at the head of the queue only, where such a job keeps all others waiting.
"""

ECS_TASKS: Final = "ecs-tasks.amazonaws.com"


def describe(
    settings: Settings,
    names: Names,
    network: Network,
    *,
    nonce: str = "",
    image_tag: str | None = None,
    image_digest: str = "",
) -> tuple[Wanted[Any], ...]:
    """Describe every resource, in the order of making.

    Args:
        settings: What the user chose.
        names: What everything is called.
        network: Where instances go.
        nonce: What all of it bears beside the prefix; empty in templates, whose resources are not ours.
        image_tag: Tag of the image that we build; wanted where the settings name no image.
        image_digest: What that image is; empty until it is pushed.
    """
    image = settings.image or names.image(image_tag or "", image_digest)
    boundary = settings.permissions_boundary or Untold.UNTOLD
    specifications: dict[Kind, Specification] = {
        Kind.REPOSITORY: RepositorySpecification(image_tag=image_tag),
        Kind.LOG_GROUP: LogGroupSpecification(retention_days=LOG_DAYS),
        Kind.BUCKET: _bucket(settings, names),
        Kind.PAYLOAD_KEY: PayloadKeySpecification(kms_key=settings.kms_key or Untold.UNTOLD),
        Kind.JOB_ROLE: replace(_job_role(names), boundary=boundary),
        Kind.EXECUTION_ROLE: replace(_execution_role(settings, names), boundary=boundary),
        Kind.INSTANCE_ROLE: replace(_instance_role(names), boundary=boundary),
        Kind.INSTANCE_PROFILE: InstanceProfileSpecification(role=names.of(Kind.INSTANCE_ROLE)),
        Kind.SECURITY_GROUP: SecurityGroupSpecification(vpc=network.vpc),
        Kind.LAUNCH_TEMPLATE: LaunchTemplateSpecification(),
        Kind.JOB_DEFINITION: _job_definition(settings, names, image),
        Kind.SPOT_ENVIRONMENT: _compute_environment(settings, names, network, SPOT),
        Kind.COMPUTE_ENVIRONMENT: _compute_environment(settings, names, network, SPOT if settings.spot else ON_DEMAND),
        Kind.SCHEDULING_POLICY: SchedulingPolicySpecification(SHARE_SECONDS),
        Kind.JOB_QUEUE: _job_queue(settings, names),
    }
    tags = all_tags(settings.tags, Owner(names.target.prefix, nonce))
    named = (Wanted(kind, names.of(kind), names.arn(kind), specifications[kind], tags) for kind in Kind)
    unwanted = _unwanted(settings)
    return tuple(one for one in named if one.kind not in unwanted)


def _unwanted(settings: Settings) -> set[Kind]:
    """What is not to be made, because the user has it or did not ask for it."""
    needless = {
        Kind.REPOSITORY: settings.image is not None,
        Kind.PAYLOAD_KEY: not settings.payload_key,
        Kind.SECURITY_GROUP: bool(settings.security_groups),
        Kind.SPOT_ENVIRONMENT: not settings.spot_then_ec2,
        Kind.SCHEDULING_POLICY: not settings.fair_share,
    }
    return {kind for kind, value in needless.items() if value}


def describe_repository(names: Names, tags: Mapping[str, str], image_tag: str) -> Wanted[RepositorySpecification]:
    """Describe the repository alone."""
    kind = Kind.REPOSITORY
    return Wanted(kind, names.of(kind), names.arn(kind), RepositorySpecification(image_tag=image_tag), tags)


def all_tags(chosen: Mapping[str, str], owner: Owner) -> dict[str, str]:
    """Every tag that a resource bears: those the user chose, and ours."""
    return {**chosen, **owner.tags, VERSION_TAG: VERSION}


def _bucket(settings: Settings, names: Names) -> BucketSpecification:
    return BucketSpecification(
        public_access_blocked=True,
        encryption=ENCRYPTION,
        policy=policies.encrypted_transport_only(names.arn(Kind.BUCKET)),
        expiry=(Expiry(prefix=f"{TASK_PREFIX}/", days=settings.expire_days),),
    )


def _job_role(names: Names) -> RoleSpecification:
    return RoleSpecification(
        trust=policies.trust(ECS_TASKS, names.account.number),
        policies={"run-tasks": policies.run_tasks(names.arn(Kind.BUCKET), TASK_PREFIX)},
    )


def _execution_role(settings: Settings, names: Names) -> RoleSpecification:
    payload_key = names.arn(Kind.PAYLOAD_KEY) if settings.payload_key else ""
    needed = policies.start_containers(
        names.arn(Kind.LOG_GROUP), payload_key=payload_key, kms_key=settings.kms_key or ""
    )
    return RoleSpecification(
        trust=policies.trust(ECS_TASKS, names.account.number), policies={"start-containers": needed}
    )


def _instance_role(names: Names) -> RoleSpecification:
    partition = names.account.partition
    return RoleSpecification(
        trust=policies.trust(policies.ec2_service(partition)), managed=frozenset({policies.ecs_agent(partition)})
    )


def _job_definition(settings: Settings, names: Names, image: str) -> JobDefinitionSpecification:
    return JobDefinitionSpecification(
        image=image,
        command=RUNNER_COMMAND,
        parameters=DEFAULT_PARAMETERS,
        environment={"AWS_DEFAULT_REGION": settings.region},
        vcpus=settings.vcpus,
        memory_mb=container_memory(settings.memory_mb),
        gpus=settings.gpus,
        timeout_seconds=settings.job_timeout_minutes * 60,
        job_role=names.arn(Kind.JOB_ROLE),
        execution_role=names.arn(Kind.EXECUTION_ROLE),
        log_group=names.of(Kind.LOG_GROUP),
        log_region=settings.region,
        secrets={PAYLOAD_KEY_VARIABLE: names.arn(Kind.PAYLOAD_KEY)} if settings.payload_key else {},
    )


def _compute_environment(
    settings: Settings, names: Names, network: Network, purchase: tuple[str, str]
) -> ComputeEnvironmentSpecification:
    capacity, allocation = purchase
    return ComputeEnvironmentSpecification(
        state=ENABLED,
        max_vcpus=settings.max_vcpus,
        instance_types=settings.instance_types,
        instance_profile=names.arn(Kind.INSTANCE_PROFILE),
        subnets=network.subnets,
        security_groups=network.security_groups,
        launch_template=names.of(Kind.LAUNCH_TEMPLATE),
        capacity=capacity,
        allocation=allocation,
        instance_tags={**settings.tags, PREFIX_TAG: names.target.prefix},
        keep_minutes=settings.keep_minutes,
        image_type=GPU_IMAGE if settings.gpus else Untold.UNTOLD,
    )


def _job_queue(settings: Settings, names: Names) -> JobQueueSpecification:
    first = [Kind.SPOT_ENVIRONMENT] if settings.spot_then_ec2 else []
    return JobQueueSpecification(
        state=ENABLED,
        priority=1,
        compute_environments=tuple(map(names.arn, (*first, Kind.COMPUTE_ENVIRONMENT))),
        time_limits=TIME_LIMITS,
        fair_share=names.arn(Kind.SCHEDULING_POLICY) if settings.fair_share else "",
    )
