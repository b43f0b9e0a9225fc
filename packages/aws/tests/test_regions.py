from __future__ import annotations

from pathlib import Path

import pytest

from scaler_batch.aws import ConfiguredRegion, configured_region, dns_suffix, partition_of


@pytest.mark.parametrize(
    ("environment", "name", "source"),
    [
        ({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "a", "AWS_REGION"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "b"}, "b", "AWS_DEFAULT_REGION"),
        ({}, "profile-region", "AWS profile"),
    ],
)
def test_the_region_is_that_of_the_environment_or_of_the_profile(
    environment: dict[str, str], name: str, source: str, no_account: Path
):
    (no_account / "config").write_text("[default]\nregion = profile-region\n")
    assert configured_region(environment) == ConfiguredRegion(name, source)


def test_where_nobody_says_a_region_there_is_none():
    assert configured_region() is None
    assert configured_region(profile="nobody") is None


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
