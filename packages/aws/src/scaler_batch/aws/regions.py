"""Regions, partitions and their domains, as botocore knows them. Asks AWS nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.exceptions import BotoCoreError

DEFAULT_PARTITION: Final = "aws"

_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""In this order, as AWS's other SDKs have it. boto3 knows the second one only."""


@dataclass(frozen=True, slots=True)
class ConfiguredRegion:
    """A region, and where it is configured.

    Attributes:
        name: Such as ``eu-west-1``.
        source: The variable, or the profile.
    """

    name: str
    source: str


def configured_region(
    environment: Mapping[str, str] = os.environ, profile: str | None = None
) -> ConfiguredRegion | None:
    """Find the region of whoever asked for none: that of ``AWS_REGION``, ``AWS_DEFAULT_REGION`` or the profile.

    Args:
        environment: Where the variables are looked up; one that is empty counts as not set.
        profile: A profile of the AWS configuration; ``None`` for the usual one.
    """
    for variable in _VARIABLES:
        if found := environment.get(variable):
            return ConfiguredRegion(found, variable)
    named = _region_of_profile(profile)
    return ConfiguredRegion(named, f"profile {profile}" if profile else "AWS profile") if named else None


def partition_of(region: str) -> str:
    """The partition of a region: the second part of all its ARNs, such as ``aws-cn``."""
    return next(
        (
            str(partition["id"])
            for partition in _partitions()
            if region in partition["regions"] or re.match(partition["regionRegex"], region)
        ),
        DEFAULT_PARTITION,
    )


def dns_suffix(partition: str) -> str:
    """The domain of a partition, such as ``amazonaws.com``."""
    found = {str(each["id"]): str(each["outputs"]["dnsSuffix"]) for each in _partitions()}
    return found.get(partition, found[DEFAULT_PARTITION])


def _region_of_profile(profile: str | None) -> str | None:
    try:
        region = botocore.session.Session(profile=profile).get_scoped_config().get("region")
    except BotoCoreError:
        # That a profile does not exist is said where credentials are looked for.
        return None
    return str(region) if region else None


@cache
def _partitions() -> list[dict[str, Any]]:
    loader = botocore.session.Session().get_component("data_loader")
    found: list[dict[str, Any]] = loader.load_data("partitions")["partitions"]
    return found
