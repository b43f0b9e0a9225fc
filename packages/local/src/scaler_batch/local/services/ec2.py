"""EC2, where moto takes filters at their word and forgets tags.

EC2 takes ``*`` and ``?`` in the values of filters, and shows the tags that a launch template has now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from moto.ec2.models.instance_types import InstanceTypeOfferingBackend
from moto.ec2.models.launch_templates import LaunchTemplate

from ..permissions.policies import like

_FILTERS: Final = {"location": "Location", "instance-type": "InstanceType"}


def install() -> None:
    """Have moto's EC2 do so."""
    InstanceTypeOfferingBackend.matches_filters = _matches  # type: ignore[method-assign,assignment]
    LaunchTemplate.tags = property(LaunchTemplate.get_tags, _ignore)  # type: ignore[assignment]


def _matches(_: Any, offering: Mapping[str, str], filters: Mapping[str, Sequence[str]], __: str) -> bool:
    """Whether an offering of an instance type passes all filters; one of an unknown name lets nothing pass."""
    return all(
        name in _FILTERS and any(like(offering[_FILTERS[name]], pattern) for pattern in patterns)
        for name, patterns in filters.items()
    )


def _ignore(_: LaunchTemplate, tags: object) -> None:
    """Moto sets the tags that it was made with; they are kept elsewhere as well."""
