"""Whether a job fits an instance of the kinds that the compute environments may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.finding import Finding, ok, problem, skipped
from scaler_batch.provision.instance_types import patterns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "job size"
USABLE: Final = 0.92
"""Part of an instance's memory that containers get; the rest goes to kernel, system and ECS agent. A careful guess:
AWS names no number, and it varies a little."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """An instance type."""

    memory_mb: int
    vcpus: int
    name: str
    gpus: int = 0

    def holds(self, vcpus: float, memory_mb: float, gpus: float = 0) -> bool:
        """Whether a container of this size fits."""
        return vcpus <= self.vcpus and memory_mb <= self.memory_mb * USABLE and gpus <= self.gpus


def check(found: Found, scene: Scene) -> Finding:
    """Look at the instance types that are allowed."""
    asked = tuple(sorted({one for compute in found.compute for one in compute.get("instanceTypes", ())}))
    if found.definition is None or not asked:
        return skipped(SUBJECT, "there is no job definition, or no compute environment that names instance types")
    sizes = _sizes(scene, patterns(asked))
    return judge(found.required("VCPU"), found.required("MEMORY"), sizes, asked, gpus=found.required("GPU"))


def judge(vcpus: float, memory_mb: float, sizes: Sequence[Size], asked: Sequence[str], *, gpus: float = 0) -> Finding:
    """Say which the smallest is that a job fits."""
    job = f"a job takes {vcpus:g} vCPUs and {memory_mb:g} MB" + (f" and {gpus:g} GPUs" if gpus else "")
    if not sizes:
        return skipped(SUBJECT, f"{job}; EC2 tells nothing of {', '.join(asked)}")
    fitting = [size for size in sizes if size.holds(vcpus, memory_mb, gpus)]
    if not fitting:
        largest = max(sizes)
        return problem(
            SUBJECT,
            f"{job}, and the largest instance allowed, {largest.name}, has {largest.vcpus} vCPUs and "
            f"{largest.memory_mb} MB, not all of it for containers"
            + (f", and {largest.gpus} GPUs" if gpus else "")
            + ": jobs stay RUNNABLE for ever",
            "allow larger ones with --instance-types, or lower --vcpus, --memory and --gpus; then run provision",
        )
    return ok(SUBJECT, f"{job}; it fits {min(fitting).name} and larger")


def _sizes(scene: Scene, names: Sequence[str]) -> list[Size]:
    paginator = scene.clients.ec2.get_paginator("describe_instance_types")
    pages = paginator.paginate(Filters=[{"Name": "instance-type", "Values": list(names)}])
    return [
        Size(one["MemoryInfo"]["SizeInMiB"], one["VCpuInfo"]["DefaultVCpus"], one["InstanceType"], _gpus(one))
        for page in pages
        for one in page["InstanceTypes"]
    ]


def _gpus(described: Any) -> int:
    return sum(one.get("Count", 0) for one in described.get("GpuInfo", {}).get("Gpus", ()))
