"""Instances of compute environments as EC2 and ECS show them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError

from ..batch.fleet import Instance, Site
from . import networks
from .instance_types import offered

if TYPE_CHECKING:
    from .backend import LocalBatchBackend, Registry

_IMAGE = "ami-03cf127a"


class MotoInstances:
    """Shows in moto's EC2 and ECS which instances there are.

    Args:
        registry: Where the environments are found.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._registered: dict[str, str] = {}

    def start(self, instance: Instance) -> None:
        """An instance is there for EC2. It gets the id that Batch knows it by."""
        found = self._registry.environment(instance.environment.arn)
        if found is None:
            return
        backend, environment = found
        made = backend.ec2_backend.run_instances(
            image_id=_IMAGE,
            count=1,
            user_data=None,
            security_group_names=[],
            instance_type=instance.type.name,
            region_name=backend.region_name,
            subnet_id=instance.site.subnet,
            security_group_ids=list(environment.compute_resources.get("securityGroupIds", ())),
            is_instance_type_default=False,
        ).instances[0]
        made.id = instance.id
        given = environment.compute_resources.get("tags") or {}
        made.add_tags({"aws:batch:compute-environment": environment.name, "Name": environment.name, **given})

    def connect(self, instance: Instance) -> None:
        """The instance's agent has registered it with the environment's cluster."""
        found = self._registry.environment(instance.environment.arn)
        if found is not None:
            backend, environment = found
            registered = backend.ecs_backend.register_container_instance(environment.ecs_name, instance.id)
            _describe(registered, instance)
            self._registered[instance.id] = registered.container_instance_arn

    def stop(self, instance: Instance) -> None:
        """The instance is gone."""
        arn, registered = instance.environment.arn, self._registered.pop(instance.id, None)
        backend = self._registry.backend(arn)
        if backend is None:
            return
        with contextlib.suppress(EC2ClientError):
            backend.ec2_backend.terminate_instances([instance.id])
        for cluster in backend.ecs_backend.container_instances.values():
            cluster.pop((registered or "").rpartition("/")[2], None)


def site(backend: LocalBatchBackend, environment: Any, instance_type: str, nth: int) -> Site | None:
    """The subnet for the nth instance of an environment: in turn, those whose zones offer the type."""
    resources, ec2 = environment.compute_resources, backend.ec2_backend
    subnets = [ec2.get_subnet(each) for each in resources["subnets"]]
    good = [each for each in subnets if offered(backend.region_name, each.availability_zone, instance_type)]
    if not good:
        return None
    chosen = good[nth % len(good)].id
    return Site(chosen, networks.connects(ec2, chosen, resources.get("securityGroupIds") or ()))


def _describe(registered: Any, instance: Instance) -> None:
    sizes = {"CPU": instance.type.vcpus * 1024, "MEMORY": instance.type.memory_mib}
    for resource in (*registered.registered_resources, *registered.remaining_resources):
        if resource["name"] in sizes:
            resource["integerValue"] = sizes[resource["name"]]
