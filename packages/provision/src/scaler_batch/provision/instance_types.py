"""What EC2 instance types are, as far as their names tell. Asks AWS nothing.

A name is a family and a size: ``m7gd.large``. A family is letters, a generation, and attributes: ``m``, ``7``, ``gd``.
Source: Amazon EC2 user guide, "Amazon EC2 instance type naming conventions".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_X86_FAMILIES: Final = ("m6i", "c6i", "r6i", "c7i")
_ARM_FAMILIES: Final = ("m6g", "c6g", "r6g", "c7g")
STANDS_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "optimal": _X86_FAMILIES,
    "default_x86_64": _X86_FAMILIES,
    "default_arm64": _ARM_FAMILIES,
}
"""What AWS Batch means by its own names. Source: AWS Batch API reference, ComputeResource.instanceTypes."""

_FAMILY: Final = re.compile(r"(?P<letters>[a-z]+)-?(?P<generation>\d+)(?P<attributes>[a-z0-9-]*)")
_ARM_WITHOUT_ATTRIBUTE: Final = frozenset({"a1", "mac2"})
GPU_TYPES: Final = ("g4dn", "g5")
"""With graphics processors, and to be had in most regions and zones."""

GPU_IMAGE: Final = "ECS_AL2023_NVIDIA"
"""AWS Batch's type of the image of instances with NVIDIA's graphics processors.

Source: AWS Batch API reference, Ec2Configuration.imageType.
"""

_GPU_LETTERS: Final = frozenset({"g", "gr", "p"})
_NOT_WITH_GPU_IMAGE: Final = frozenset({"g2", "g3", "g3s", "g4ad", "p2", "p3", "p3dn"})
"""Too old for that image, or with graphics processors of others."""


class Architecture(StrEnum):
    """Processor architectures, as images of containers name them."""

    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def platform(self) -> str:
        """As Docker's ``--platform`` takes it."""
        return f"linux/{self.value}"

    @property
    def default_types(self) -> tuple[str, ...]:
        """AWS Batch's own choice among current instances, which needs no care when new ones appear."""
        return {Architecture.AMD64: ("default_x86_64",), Architecture.ARM64: ("default_arm64",)}[self]


def families(types: Iterable[str]) -> tuple[str, ...]:
    """The types, with families in the place of names that are AWS Batch's own."""
    return tuple(name for one in types for name in STANDS_FOR.get(one, (one,)))


def patterns(types: Iterable[str]) -> list[str]:
    """What EC2 finds the types by: families as ``c6i.*``."""
    return [name if "." in name else f"{name}.*" for name in families(types)]


def architecture_of(type_: str) -> Architecture:
    """The architecture of a type, a family, or one of AWS Batch's own names. Graviton has a ``g`` among attributes."""
    family = families([type_])[0].partition(".")[0]
    found = _FAMILY.fullmatch(family)
    is_arm = family in _ARM_WITHOUT_ATTRIBUTE or (found is not None and "g" in found["attributes"])
    return Architecture.ARM64 if is_arm else Architecture.AMD64


def has_gpus(type_: str) -> bool:
    """Whether instances of a type or family have graphics processors that containers can be given.

    Graviton instances with GPUs are left out: there is no image with drivers for them.
    """
    family = type_.partition(".")[0]
    found = _FAMILY.fullmatch(family)
    has_some = found is not None and found["letters"] in _GPU_LETTERS and family not in _NOT_WITH_GPU_IMAGE
    return has_some and architecture_of(type_) is Architecture.AMD64
