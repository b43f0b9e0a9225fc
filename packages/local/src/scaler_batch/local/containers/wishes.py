"""From what a job asks for to what a container engine is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..batch.specification import resources_of
from ..jobhost.messages import Start

JOB_ID: Final = "AWS_BATCH_JOB_ID"
"""The variable by which a job's environment tells whose it is."""

SHARES_OF_A_VCPU: Final = 1024
LEAST_MEMORY: Final = 6 << 20
"""Bytes; Docker makes no smaller container, while Batch takes 4 MiB."""

SHARED_MEMORY: Final = 64
"""MiB, where the job does not say; Docker's own default."""

_REFUSED: Final = "CannotCreateContainerError: refused by the local AWS"

HEEDED: Final = (
    "image",
    "resourceRequirements",
    "vcpus",
    "memory",
    "user",
    "privileged",
    "readonlyRootFilesystem",
    "linuxParameters",
)
"""The container properties that the host reads; command, environment and limits travel by themselves."""


def heeded(container: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a job's container properties that the host has to know."""
    return {name: container[name] for name in HEEDED if container.get(name) is not None}


def refusal(container: Mapping[str, Any], *, allow_privileged: bool) -> str | None:
    """Why a container with these properties is not made, in the form of AWS's reasons; None for one that is.

    On AWS an instance that runs jobs is there for them. Here it is the user's own machine, so nothing that leads out of
    a container onto it is given because a job definition asks for it.
    """
    if container.get("privileged") and not allow_privileged:
        return (
            f"{_REFUSED}: a privileged container is root on this machine; `up --allow-privileged` runs it nevertheless"
        )
    if any((volume.get("host") or {}).get("sourcePath") for volume in container.get("volumes") or ()):
        return f"{_REFUSED}: directories of this machine are not mounted"
    if (container.get("linuxParameters") or {}).get("devices"):
        return f"{_REFUSED}: devices of this machine are not given to containers"
    return None


def host_options(wanted: Start) -> dict[str, Any]:
    """The engine's options for a container.

    The network is the machine's own, because the local AWS listens on its loopback interface. There is no swap: what
    exceeds its memory is killed. No logs are kept, because they are read as they come.
    """
    container = wanted.container
    linux = container.get("linuxParameters") or {}
    return {
        **_memory(wanted.memory),
        "network_mode": "host",
        "cpu_shares": max(2, round(resources_of(container).vcpus * SHARES_OF_A_VCPU)),
        "log_config": {"Type": "none", "Config": {}},
        "privileged": bool(container.get("privileged")),
        "read_only": bool(container.get("readonlyRootFilesystem")),
        "init": bool(linux.get("initProcessEnabled")),
        "shm_size": (linux.get("sharedMemorySize") or SHARED_MEMORY) << 20,
        "ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in wanted.ulimits],
    }


def _memory(limit: int) -> dict[str, int]:
    """Of a limit in bytes, where 0 is none."""
    size = max(limit, LEAST_MEMORY)
    return {"mem_limit": size, "memswap_limit": size} if limit else {}
