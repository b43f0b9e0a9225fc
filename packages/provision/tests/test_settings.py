"""What the user may choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import Settings, SettingsError, Target
from scaler_batch.provision.settings import container_memory, round_memory


@pytest.mark.parametrize(
    ("asked", "rounded", "container"),
    [
        (1, 2048, 1843),
        (1023, 2048, 1843),
        (2048, 2048, 1843),
        (3071, 2048, 1843),
        (3072, 4096, 3686),
        (4000, 4096, 3686),
        (4096, 4096, 3686),
        (10_000, 10_240, 9216),
    ],
)
def test_memory_is_rounded_and_nine_tenths_go_to_the_container(asked: int, rounded: int, container: int) -> None:
    assert (round_memory(asked), container_memory(asked)) == (rounded, container)


@given(st.integers(min_value=1, max_value=10_000_000))
def test_memory_is_rounded_to_the_nearest_step(asked: int) -> None:
    rounded = round_memory(asked)
    assert rounded % 2048 == 0
    assert rounded >= 2048
    assert abs(rounded - asked) <= 1024 or asked < 1024
    assert 0.89 * rounded < container_memory(asked) <= 0.9 * rounded


def test_defaults_are_those_of_the_guide() -> None:
    settings = Settings(image="i")
    assert (settings.region, settings.prefix) == ("us-east-1", "scaler-batch")
    assert (settings.vcpus, settings.memory_mb, settings.max_vcpus) == (1, 2048, 256)
    assert (settings.instance_types, settings.job_timeout_minutes) == (("default_x86_64",), 60)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": "two words"}, "not the URI"),
        ({"prefix": "Upper"}, "prefix"),
        ({"prefix": "-x"}, "prefix"),
        ({"prefix": "x-"}, "prefix"),
        ({"prefix": "xn--x"}, "prefix"),
        ({"prefix": "x" * 42}, "room for 40"),
        ({"region": "mars"}, "not an AWS region"),
        ({"region": 'us-east-1"; rm -rf /; "'}, "not an AWS region"),
        ({"vcpus": 0}, "--vcpus is 0"),
        ({"expire_days": 0}, "--expire-days is 0"),
        ({"memory_mb": -1}, "--memory is -1"),
        ({"job_timeout_minutes": 0}, "--job-timeout is 0"),
        ({"max_vcpus": 1, "vcpus": 2}, "never fits"),
        ({"instance_types": ()}, "none given"),
        ({"instance_types": ("m6i large",)}, "m6i large"),
        ({"image": ""}, "not the URI"),
        ({"platform": "linux/mips"}, "not a platform"),
        ({"instance_types": ("m7g",)}, "for linux/amd64, and instances of the types m7g are linux/arm64"),
        ({"instance_types": ("m7i", "m7g")}, "m7g are linux/arm64"),
        ({"platform": "linux/arm64"}, "default_x86_64 are linux/amd64"),
        ({"platform": "linux/arm64", "instance_types": ("c6i.large",)}, "c6i.large are linux/amd64"),
        ({"subnets": ("sg-0123abcd",)}, "not ids for --subnets"),
        ({"security_groups": ("default",)}, "not ids for --security-groups"),
        ({"vpc": "default"}, "not ids for --vpc"),
        ({"gpus": -1}, "--gpus is -1"),
        ({"gpus": 1}, "have none that it could be given: default_x86_64"),
        ({"gpus": 1, "instance_types": ("g5", "c6i")}, "given: c6i"),
        ({"gpus": 1, "instance_types": ("p3",)}, "given: p3"),
        ({"gpus": 1, "instance_types": ("g5g",), "platform": "linux/arm64"}, "given: g5g"),
        ({"keep_minutes": 19}, "--keep-instances is 19"),
        ({"keep_minutes": 10_081}, "--keep-instances is 10081"),
        ({"spot": True, "spot_then_ec2": True}, "exclude each other"),
        ({"permissions_boundary": "boundary"}, "not the ARN of a policy"),
        ({"prefix": "sg"}, "prefix"),
        ({"prefix": "a--b"}, "prefix"),
        ({"tags": {"aws:x": "y"}}, "aws:x=y"),
        ({"tags": {"scaler-batch:prefix": "y"}}, "scaler-batch:prefix=y"),
        ({"tags": {"": "y"}}, "not tags"),
        ({"tags": {"a": "é" * 257}}, "not tags"),
        ({"tags": {"Team": "a", "team": "b"}}, "together"),
        ({"tags": {str(n): "" for n in range(49)}}, "together"),
        ({"tags": {str(n): "" for n in range(47)}}, "together"),
    ],
)
def test_what_cannot_be_is_refused_before_any_call(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**{"image": "i", **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-4", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_regions_of_all_partitions_are_taken(region: str) -> None:
    assert Target(region=region).region == region
