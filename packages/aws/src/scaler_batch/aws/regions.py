"""Regions, partitions and their domains, as botocore knows them. Asks AWS nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.exceptions import BotoCoreError

DEFAULT_PARTITION: Final = "aws"

_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""In this order, as AWS's other SDKs have it. boto3 knows the second one only."""


def find_region(
    option: str | None = None, profile: str | None = None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Find the region to work in; ``None`` where nobody says one.

    Args:
        option: What was asked for; takes precedence over ``AWS_REGION``, ``AWS_DEFAULT_REGION`` and the profile.
        profile: A profile of the AWS configuration; ``None`` for the usual one.
        environment: Where the variables are looked up.
    """
    named = option or next((found for name in _VARIABLES if (found := environment.get(name))), None)
    return named or _region_of_profile(profile)


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
