"""moto's Batch without its jobs: compute environments, queues and job definitions, made a little more like AWS's.

moto makes one backend for each account and region when the first request for it comes, of the class that
``batch_backends.backend`` names, and makes them anew after a reset. So the class is put there before the first
request, and finds what it needs (:class:`Wiring`) as a class attribute. Every backend enters itself in the
:class:`Registry`, through which the engine reads the topology without touching moto's own lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

from moto.batch import urls as moto_urls
from moto.batch.models import BatchBackend, ComputeEnvironment, JobDefinition, JobQueue, batch_backends
from moto.iam.exceptions import NotFoundException

from ..batch import limits
from ..batch.fleet import Site
from ..batch.specification import retry_strategy
from ..batch.vocabulary import Definition, Environment, Queue, Scope
from ..errors import ApiError
from ..jobs_api import Interference, JobsApi
from ..machine import Machine
from .instance_types import FAMILIES, types_of
from .instances import site

BATCH = "batch.amazonaws.com"
SERVICE_ROLE = "AWSServiceRoleForBatch"
"""The role that AWS Batch makes for itself in every account, by permission of whoever first makes it necessary."""


@dataclass
class Registry:
    """The backends that exist, and through them the queues and compute environments of all accounts and regions."""

    backends: dict[Scope, LocalBatchBackend] = field(default_factory=dict)

    def environments(self, queue: str) -> Sequence[Environment]:
        """The enabled compute environments of a queue, in order."""
        found = self._queue(queue)
        return [_environment(each) for each in found.environments if each.state == "ENABLED"] if found else []

    def priority(self, queue: str) -> int:
        """The queue's priority; a queue that is gone has the least."""
        found = self._queue(queue)
        return int(found.priority) if found else -1

    def site(self, environment: str, instance_type: str, nth: int) -> Site | None:
        """The subnet for the nth instance of an environment; None when no zone offers the type."""
        found = self.environment(environment)
        return site(*found, instance_type, nth) if found else None

    def environment(self, arn: str) -> tuple[LocalBatchBackend, ComputeEnvironment] | None:
        """A compute environment, and the backend that has it."""
        backend = self.backend(arn)
        found = backend.get_compute_environment_by_arn(arn) if backend else None
        return (backend, found) if backend and found else None

    def backend(self, arn: str) -> LocalBatchBackend | None:
        """The backend of the account and region that an ARN names."""
        _, _, _, region, account, _ = arn.split(":", 5)
        return self.backends.get(Scope(account, region))

    def _queue(self, arn: str) -> JobQueue | None:
        backend = self.backend(arn)
        return backend.get_job_queue_by_arn(arn) if backend else None


@dataclass(frozen=True)
class Wiring:
    """What every backend needs of the server that it is in."""

    machine: Machine
    registry: Registry
    interference: Interference
    minimum_timeout: int


class LocalBatchBackend(BatchBackend):
    """The Batch of one account and region."""

    wiring: ClassVar[Wiring]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.scope = Scope(account_id, region_name)
        wiring = self.wiring
        self.jobs = JobsApi(wiring.machine, self, self.scope, wiring.interference, wiring.minimum_timeout)
        self.wiring.registry.backends[self.scope] = self
        self.priorities: dict[str, int] = {}

    @property
    def _url_module(self) -> Any:
        """The paths of moto's Batch, led to our responses; moto looks for them beside the class otherwise."""
        from .responses import URL_PATHS

        return SimpleNamespace(url_bases=moto_urls.url_bases, url_paths=URL_PATHS)

    def reset(self) -> None:
        """Forget everything. Jobs of all regions go at once, as moto resets all regions at once."""
        self.wiring.machine.reset()
        super().reset()

    # Catalogue ----------------------------------------------------------------------------------------------------

    def queue(self, identifier: str) -> Queue | None:
        """A queue by name or ARN."""
        found = self.get_job_queue(identifier)
        return Queue(found.arn, found.name, found.state == "ENABLED", self._shares(found)) if found else None

    def _shares(self, queue: JobQueue) -> dict[str, float] | None:
        """The weight factors of a queue's policy, if it has one."""
        policy = self._scheduling_policies.get(queue.schedule_policy or "")
        if policy is None:
            return None
        distribution: Any = policy.fairshare_policy.get("shareDistribution") or ()
        return {each["shareIdentifier"]: float(each.get("weightFactor") or 1.0) for each in distribution}

    def definition(self, identifier: str) -> Definition | None:
        """A job definition by name (its latest active revision), name and revision, or ARN."""
        name, _, revision = self._in_scope(identifier).partition(":")
        revisions = [each for each in self._job_definitions.values() if each.name == name]
        if revision:
            chosen = [each for each in revisions if str(each.revision) == revision]
        else:
            chosen = sorted((each for each in revisions if each.status == "ACTIVE"), key=lambda each: each.revision)
        return _definition(chosen[-1], self.priorities.get(chosen[-1].arn)) if chosen else None

    def _in_scope(self, identifier: str) -> str:
        """The name, with or without revision, that is meant; empty for an ARN of elsewhere."""
        if not identifier.startswith("arn:"):
            return identifier
        prefix = self.scope.arn("job-definition/")
        return identifier.removeprefix(prefix) if identifier.startswith(prefix) else ""

    # What AWS does otherwise --------------------------------------------------------------------------------------

    def create_compute_environment(
        self,
        compute_environment_name: str,
        _type: str,
        state: str | None,
        compute_resources: Any,
        service_role: str | None,
        tags: dict[str, str] | None = None,
    ) -> ComputeEnvironment:
        """Make a compute environment; without a role it gets the service-linked one, which is made on first use."""
        created = super().create_compute_environment(
            compute_environment_name,
            _type,
            state or "ENABLED",
            _known_to_moto(compute_resources),
            service_role or self._service_linked_role(),
            tags,
        )
        created.compute_resources = compute_resources
        return created

    def update_compute_environment(
        self,
        compute_environment_name: str,
        state: str | None,
        compute_resources: dict[str, Any] | None,
        service_role: str | None,
    ) -> tuple[str, str]:
        """Change a compute environment, its sizes included."""
        result = super().update_compute_environment(compute_environment_name, state, None, service_role)
        environment = self.get_compute_environment(compute_environment_name)
        if environment is not None and compute_resources:
            environment.compute_resources = {**environment.compute_resources, **compute_resources}
        self._queues_changed()
        return result

    def delete_compute_environment(self, compute_environment_name: str) -> None:
        """Delete a compute environment that is disabled and that no queue uses."""
        environment = self.get_compute_environment(compute_environment_name)
        if environment is not None:
            if environment.state != "DISABLED":
                raise ApiError("Cannot delete, compute environment must be DISABLED")
            if any(environment in queue.environments for queue in self._job_queues.values()):
                raise ApiError("Cannot delete, found existing JobQueue relationship")
            with self.wiring.machine.engine() as (engine, _):
                engine.environment_gone(environment.arn)
        super().delete_compute_environment(compute_environment_name)

    def create_job_queue(
        self,
        queue_name: str,
        priority: Any,
        schedule_policy: str | None,
        state: str | None,
        compute_env_order: list[dict[str, str]],
        tags: dict[str, str] | None = None,
    ) -> JobQueue:
        """Make a queue, enabled unless the request says otherwise."""
        self._require_policy(schedule_policy)
        return super().create_job_queue(
            queue_name, priority, schedule_policy, state or "ENABLED", self._by_arn(compute_env_order), tags
        )

    def update_job_queue(
        self,
        queue_name: str,
        priority: str | None,
        state: str | None,
        compute_env_order: list[dict[str, Any]] | None,
        schedule_policy: str | None,
    ) -> tuple[str, str]:
        """Change a queue."""
        self._require_policy(schedule_policy)
        queue = self.get_job_queue(queue_name)
        if schedule_policy and queue is not None and not queue.schedule_policy:
            raise ApiError("A job queue without a scheduling policy cannot be given one")
        order = self._by_arn(compute_env_order)
        result = super().update_job_queue(queue_name, priority, state, order, schedule_policy)
        self._queues_changed()
        return result

    def delete_scheduling_policy(self, arn: str) -> None:
        """Delete a policy that no queue uses."""
        if any(queue.schedule_policy == arn for queue in self._job_queues.values()):
            raise ApiError("Cannot delete, found existing JobQueue relationship")
        super().delete_scheduling_policy(arn)

    def _require_policy(self, arn: str | None) -> None:
        if arn and arn not in self._scheduling_policies:
            raise ApiError(f"Scheduling policy {arn} does not exist")

    def delete_job_queue(self, queue_name: str) -> None:
        """Delete a queue that is disabled."""
        queue = self.get_job_queue(queue_name)
        if queue is not None and queue.state != "DISABLED":
            raise ApiError("Cannot delete, job queue must be DISABLED")
        super().delete_job_queue(queue_name)

    def describe_job_definitions(
        self, job_def_name: str | None = None, job_def_list: list[str] | None = None, status: str | None = None
    ) -> list[JobDefinition]:
        """Find job definitions; those in the list are named by name and revision, or by ARN."""
        if job_def_list is None:
            return super().describe_job_definitions(job_def_name, None, status)
        if job_def_name is not None or status is not None:
            raise ApiError("jobDefinitions cannot be used with other parameters")
        wanted = {self._in_scope(identifier) for identifier in job_def_list}
        return [each for each in self._job_definitions.values() if f"{each.name}:{each.revision}" in wanted]

    def register_job_definition(self, *arguments: Any, **named: Any) -> JobDefinition:
        """Register a revision, its name, timeout, strategy and tags checked."""
        limits.check_definition_name(named.get("def_name"))
        limits.check_timeout(named.get("timeout"), self.wiring.minimum_timeout)
        limits.check_tags(named.get("tags"))
        retry_strategy(named.get("retry_strategy") or {})
        return super().register_job_definition(*arguments, **named)

    def _by_arn(self, order: Any) -> Any:
        """A queue's compute environments by ARN, as AWS shows them whichever way they were named."""
        if not isinstance(order, list):
            return order
        found = [(each, self.get_compute_environment(each.get("computeEnvironment", ""))) for each in order]
        return [{**each, "computeEnvironment": there.arn} if there else each for each, there in found]

    def _queues_changed(self) -> None:
        with self.wiring.machine.engine() as (engine, now):
            engine.queue_changed(now)

    def _service_linked_role(self) -> str:
        try:
            return self.iam_backend.get_role(SERVICE_ROLE).arn
        except NotFoundException:
            role = self.iam_backend.create_role(
                SERVICE_ROLE,
                '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
                f'"Principal":{{"Service":"{BATCH}"}}}}]}}',
                f"/aws-service-role/{BATCH}/",
                permissions_boundary=None,
                description="",
                tags=[],
                max_session_duration="3600",
                linked_service=BATCH,
            )
            return role.arn


def install(wiring: Wiring) -> None:
    """Have moto use our backend for Batch. To be called before the first request."""
    LocalBatchBackend.wiring = wiring
    batch_backends.backend = LocalBatchBackend


def _known_to_moto(resources: Any) -> Any:
    """Compute resources in which Batch's own names for types are replaced by the one that moto knows."""
    if not resources or "instanceTypes" not in resources:
        return resources
    types = ["optimal" if each in FAMILIES else each for each in resources["instanceTypes"]]
    return {**resources, "instanceTypes": types}


def _environment(found: ComputeEnvironment) -> Environment:
    resources: Mapping[str, Any] = found.compute_resources or {}
    minutes = (resources.get("scalingPolicy") or {}).get("minScaleDownDelayMinutes")
    return Environment(
        found.arn,
        found.name,
        float(resources.get("maxvCpus", "inf")),
        min_vcpus=float(resources.get("minvCpus") or 0),
        types=types_of(tuple(resources.get("instanceTypes") or ())),
        idle=None if minutes is None else minutes * 60.0,
    )


def _definition(found: JobDefinition, scheduling_priority: int | None) -> Definition:
    return Definition(
        arn=found.arn,
        name=found.name,
        container=found.container_properties or {},
        parameters=found.parameters,
        retry=found.retry_strategy or {},
        timeout=(found.timeout or {}).get("attemptDurationSeconds"),
        tags=found.backend.tagger.get_tag_dict_for_resource(found.arn) if found.propagate_tags else {},
        propagate_tags=found.propagate_tags,
        platform_capabilities=tuple(found.platform_capabilities or ()),
        active=found.status == "ACTIVE",
        scheduling_priority=scheduling_priority,
    )
