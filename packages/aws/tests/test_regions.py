from __future__ import annotations

from pathlib import Path

import pytest

from scaler_batch.aws import dns_suffix, find_region, partition_of


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        ("eu-west-1", {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "eu-west-1"),
        (None, {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "a"),
        (None, {"AWS_REGION": "", "AWS_DEFAULT_REGION": "b"}, "b"),
        (None, {}, "profile-region"),
        ("", {}, "profile-region"),
    ],
)
def test_the_region_is_the_options_then_the_environments_then_the_profiles(
    option: str | None, environment: dict[str, str], expected: str, no_account: Path
):
    (no_account / "config").write_text("[default]\nregion = profile-region\n")
    assert find_region(option, environment=environment) == expected


def test_where_nobody_says_a_region_there_is_none():
    assert find_region() is None
    assert find_region(profile="nobody") is None


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("us-east-1", "aws", "amazonaws.com"),
        ("mx-central-7", "aws", "amazonaws.com"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
        ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
        ("nowhere", "aws", "amazonaws.com"),
    ],
)
def test_a_region_has_a_partition_and_that_a_domain(region: str, partition: str, suffix: str):
    assert partition_of(region) == partition
    assert dns_suffix(partition) == suffix


def test_a_partition_that_nobody_knows_has_the_usual_domain():
    assert dns_suffix("aws-moon") == "amazonaws.com"
