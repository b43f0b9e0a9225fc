"""Lifecycle rules that expire objects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.services.lifecycle import DAY, expiry

pytestmark = pytest.mark.long


@given(st.floats(0, 4e9), st.integers(1, 400))
def test_an_object_expires_at_a_midnight_after_the_days_of_its_rule(stored: float, days: int) -> None:
    at = expiry(stored, days)
    assert at % DAY == 0
    assert 0 <= at - stored - days * DAY < DAY


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    """One that may be emptied: nobody else's resources are in it."""
    with LocalAWS() as running:
        yield running


@pytest.fixture
def s3(aws: LocalAWS) -> Iterator[Any]:
    aws.reset()
    client = aws.client("s3")
    client.create_bucket(Bucket="bucket")
    yield client
    client.close()
    aws.reset()


def expire(s3: Any, days: int, prefix: str = "", status: str = "Enabled") -> None:
    rule = {"ID": "old", "Status": status, "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": [rule]})


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]


def until_midnight() -> float:
    return DAY - time.time() % DAY


def test_a_rule_of_one_day_takes_objects_at_the_midnight_after_it(aws: LocalAWS, s3: Any) -> None:
    expire(s3, 1, "runs/")
    s3.put_object(Bucket="bucket", Key="runs/1")
    s3.put_object(Bucket="bucket", Key="kept")
    aws.jump_clock(until_midnight() + 60)
    s3.put_object(Bucket="bucket", Key="runs/2")
    assert keys(s3) == ["kept", "runs/1", "runs/2"]
    aws.jump_clock(DAY)
    assert keys(s3) == ["kept", "runs/2"]
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bucket", Key="runs/1")


def test_an_object_that_is_stored_again_is_young_again(aws: LocalAWS, s3: Any) -> None:
    expire(s3, 1)
    s3.put_object(Bucket="bucket", Key="key")
    aws.jump_clock(until_midnight() + 60)
    s3.copy_object(
        Bucket="bucket", Key="key", CopySource="bucket/key", MetadataDirective="REPLACE", Metadata={"renewed": "1"}
    )
    aws.jump_clock(DAY)
    assert keys(s3) == ["key"]
    aws.jump_clock(DAY)
    assert keys(s3) == []


def test_a_rule_that_is_made_later_takes_what_is_old_already_and_a_disabled_one_nothing(aws: LocalAWS, s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="key")
    expire(s3, 1, status="Disabled")
    aws.jump_clock(3 * DAY)
    assert keys(s3) == ["key"]
    expire(s3, 1)
    assert keys(s3) == []


def test_with_a_time_scale_a_day_of_a_rule_is_as_much_shorter(until: Any) -> None:
    with LocalAWS(LocalSettings(like="aws", time_scale=1 / DAY)) as aws:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="bucket")
        expire(s3, 1)
        s3.put_object(Bucket="bucket", Key="key")
        until(lambda: keys(s3), lambda found: not found, 5)
        s3.close()
