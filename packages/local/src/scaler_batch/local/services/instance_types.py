"""Types of instances, from moto's copy of what EC2 says, and what names in compute environments stand for."""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from ..batch.vocabulary import InstanceType

FAMILIES: Final = {
    "default_x86_64": ("m6i", "c6i", "r6i", "c7i"),
    "default_arm64": ("m6g", "c6g", "r6g", "c7g"),
    "optimal": ("m6i", "c6i", "r6i", "c7i"),
}
"""Families that Batch picks from (Batch User Guide, "Instance types"); ``optimal`` means ``default_x86_64`` since
November 2025."""

SHARE_FOR_JOBS: Final = 0.93
"""Of an instance's memory, what its agent registers. Assumed: it differs by type and image, and is not published."""


@functools.cache
def types_of(names: tuple[str, ...]) -> tuple[InstanceType, ...]:
    """The types that a compute environment's ``instanceTypes`` stand for: types, families, and Batch's own names."""
    found = {each.name: each for name in names for family in FAMILIES.get(name, (name,)) for each in _matching(family)}
    return tuple(found.values())


def offered(region: str, zone: str, instance_type: str) -> bool:
    """Whether a zone has a type; zones of which nothing is known have all."""
    known = _offerings(region)
    return zone not in known or instance_type in known[zone]


@functools.cache
def _offerings(region: str) -> dict[str, frozenset[str]]:
    by_zone: dict[str, set[str]] = {}
    for each in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, []):
        by_zone.setdefault(each["Location"], set()).add(each["InstanceType"])
    return {zone: frozenset(types) for zone, types in by_zone.items()}


def _matching(name: str) -> list[InstanceType]:
    if name in INSTANCE_TYPES:
        return [_type(INSTANCE_TYPES[name])]
    bare = (each for each in INSTANCE_TYPES.values() if each["InstanceType"].partition(".")[0] == name)
    return [_type(each) for each in bare if "metal" not in each["InstanceType"]]


def _type(known: dict[str, Any]) -> InstanceType:
    return InstanceType(
        known["InstanceType"],
        int(known["VCpuInfo"]["DefaultVCpus"]),
        int(known["MemoryInfo"]["SizeInMiB"] * SHARE_FOR_JOBS),
        sum(int(each["Count"]) for each in known.get("GpuInfo", {}).get("Gpus", [])),
        "arm64" if "arm64" in known["ProcessorInfo"]["SupportedArchitectures"] else "x86_64",
    )
