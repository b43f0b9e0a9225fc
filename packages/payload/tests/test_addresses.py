"""Where S3 is, held against what botocore says."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import BotoCoreError

from scaler_batch.payload import RunLocation
from scaler_batch.payload.addresses import ca_bundle, endpoint_by_hand, s3_endpoint
from scaler_batch.payload.errors import ContractError
from scaler_batch.payload.s3 import BlockingS3RunStore, S3RunStore

RUN = RunLocation("tests", "prefix", "run", "us-east-1")


def regions() -> list[str]:
    """All regions that botocore has heard of, of S3 or of anything else."""
    session = botocore.session.get_session()
    described = session.get_component("data_loader").load_data("partitions")["partitions"]
    named = {region for partition in described for region in partition["regions"]}
    partitions = session.get_available_partitions()
    named |= {region for name in partitions for region in session.get_available_regions("s3", name)}
    # The names of partitions as a whole are not regions of a bucket.
    return sorted(region for region in named if not region.endswith("-global"))


def according_to_boto3(region: str, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> str | None:
    """Where boto3 finds S3, without the bucket's part; ``None`` where it refuses."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # Without it, the first region has an old name besides its own.
    monkeypatch.setenv("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "regional")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    seen: list[str] = []

    def note(request: Any, **_: Any) -> None:
        seen.append(request.url)
        raise ConnectionAbortedError

    try:
        client = boto3.Session("key", "secret").client(
            "s3", region_name=region, config=boto3.session.Config(s3={"addressing_style": "path"})
        )
        client.meta.events.register("before-send.s3", note)
        with pytest.raises(ConnectionAbortedError):
            client.get_object(Bucket="bucket", Key="key")
    except (BotoCoreError, ValueError):
        return None
    return seen[0].removesuffix("/bucket/key")


def ours(region: str, environment: dict[str, str]) -> str | None:
    try:
        return s3_endpoint(region, environment)
    except ContractError:
        return None


FLAGS = {
    f"{'fips ' * fips}{'dualstack' * dualstack}": {
        **({"AWS_USE_FIPS_ENDPOINT": "true"} if fips else {}),
        **({"AWS_USE_DUALSTACK_ENDPOINT": "true"} if dualstack else {}),
    }
    for fips, dualstack in itertools.product((False, True), repeat=2)
}


def test_many_regions_of_all_partitions_are_compared() -> None:
    assert len(regions()) > 45
    assert {"cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1"} <= set(regions())


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_region_has_the_address_of_boto3s_rules(flags: dict[str, str]) -> None:
    from botocore.endpoint_provider import EndpointProvider
    from botocore.exceptions import EndpointProviderError

    loader = botocore.session.get_session().get_component("data_loader")
    rules = EndpointProvider(loader.load_service_model("s3", "endpoint-rule-set-1"), loader.load_data("partitions"))
    for region in regions():
        try:
            theirs = rules.resolve_endpoint(
                Region=region,
                UseFIPS="AWS_USE_FIPS_ENDPOINT" in flags,
                UseDualStack="AWS_USE_DUALSTACK_ENDPOINT" in flags,
                ForcePathStyle=True,
                Bucket="bucket",
                Accelerate=False,
                UseGlobalEndpoint=False,
            ).url.removesuffix("/bucket")
        except EndpointProviderError:
            theirs = None
        assert ours(region, flags) == theirs, region


HOME = "http://127.0.0.1:9000"
OTHER = "http://127.0.0.1:9001"


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1"])
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_ENDPOINT_URL": HOME},
        {"AWS_ENDPOINT_URL_S3": HOME},
        {"AWS_ENDPOINT_URL_S3": HOME, "AWS_ENDPOINT_URL": OTHER},
        {"AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": HOME},
        {"AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": ""},
        {"AWS_ENDPOINT_URL": HOME, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL": HOME, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"},
        {"AWS_ENDPOINT_URL": HOME, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
        {"AWS_ENDPOINT_URL": HOME, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "1"},
        {"AWS_USE_FIPS_ENDPOINT": "TRUE"},
        {"AWS_USE_FIPS_ENDPOINT": ""},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_USE_FIPS_ENDPOINT": "false"},
        {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL": HOME},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_ENDPOINT_URL_S3": HOME},
        {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL": HOME, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    ],
    ids=str,
)
def test_the_variables_mean_what_they_mean_to_boto3(
    region: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ours(region, environment) == according_to_boto3(region, monkeypatch, environment)


def test_the_address_of_a_profile_stands_behind_the_variables() -> None:
    assert s3_endpoint("eu-west-1", {}, HOME) == HOME
    assert s3_endpoint("eu-west-1", {"AWS_ENDPOINT_URL": OTHER}, HOME) == OTHER
    assert s3_endpoint("eu-west-1", {}, "") == "https://s3.eu-west-1.amazonaws.com"
    ignoring = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert s3_endpoint("eu-west-1", ignoring, HOME) == "https://s3.eu-west-1.amazonaws.com"
    assert endpoint_by_hand(ignoring, HOME) is None
    with pytest.raises(ContractError, match="profile's endpoint_url"):
        s3_endpoint("eu-west-1", {}, "nowhere")


def test_what_does_not_exist_is_refused_with_the_fix() -> None:
    with pytest.raises(ContractError, match="unset AWS_USE_FIPS_ENDPOINT"):
        s3_endpoint("cn-north-1", {"AWS_USE_FIPS_ENDPOINT": "true"})


GOOD = [
    "http://host",
    "https://host:443/",
    "http://host.b-c.example:1",
    "http://[::1]:9000",
    "http://127.0.0.1",
    "http://host.",
]
BAD = [
    *("localhost:9000", "ftp://host", "http://", "http://a b", "http://host:99999", "http://host:x", "s3://bucket"),
    *(
        "http://..",
        "http://.",
        "http://-a",
        "http://host..example",
        "http://[:::]",
        "http://[]",
        "http://[127.0.0.1]",
        "http:///x",
    ),
    *(
        "http://" + "a" * 64,
        "http://user@host",
        "http://host/path",
        "http://host?x",
        "http://h\nost",
        "http://höst",
        " ",
    ),
]


@pytest.mark.parametrize("address", GOOD)
def test_an_address_of_a_host_is_taken(address: str) -> None:
    assert s3_endpoint("us-east-1", {"AWS_ENDPOINT_URL": address}) == address.rstrip("/")
    S3RunStore(RUN, environment={"AWS_ENDPOINT_URL": address})


@pytest.mark.parametrize("address", BAD)
def test_any_other_is_refused_with_the_name_of_what_has_set_it(address: str) -> None:
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        with pytest.raises(ContractError, match=f"in {variable} is not of the form"):
            s3_endpoint("us-east-1", {variable: address})


def test_certificates_are_named_by_the_variables_that_boto3_obeys() -> None:
    assert ca_bundle({}) is None
    assert ca_bundle({"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": ""}) is None
    assert ca_bundle({"REQUESTS_CA_BUNDLE": "b"}) == ("REQUESTS_CA_BUNDLE", "b")
    assert ca_bundle({"AWS_CA_BUNDLE": "a", "REQUESTS_CA_BUNDLE": "b"}) == ("AWS_CA_BUNDLE", "a")


@pytest.mark.parametrize(
    "content", [None, b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("store", [S3RunStore, BlockingS3RunStore])
def test_certificates_that_cannot_be_used_are_refused(tmp_path: Path, store: type[Any], content: bytes | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(ContractError, match="AWS_"):
        store(RUN, environment={"AWS_CA_BUNDLE": str(bundle)})
    # Without TLS there is nothing to check.
    store(RUN, environment={"AWS_CA_BUNDLE": str(bundle), "AWS_ENDPOINT_URL": HOME})
