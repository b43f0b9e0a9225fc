from __future__ import annotations

from pathlib import Path

import pytest

from scaler_batch.aws import open_session, s3_environment

CONFIG = """
[profile plain]
region = eu-west-1

[profile address]
endpoint_url = https://all.example

[profile service]
services = local
endpoint_url = https://all.example

[services local]
s3 =
  endpoint_url = https://s3.example

[profile authority]
ca_bundle = bundle.pem

[profile kinds]
use_fips_endpoint = true
use_dualstack_endpoint = true

[profile ignoring]
ignore_configured_endpoint_urls = true
endpoint_url = https://all.example
"""


@pytest.fixture(autouse=True)
def _configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    for variable in ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("plain", {}),
        ("address", {"AWS_ENDPOINT_URL_S3": "https://all.example"}),
        ("service", {"AWS_ENDPOINT_URL_S3": "https://s3.example"}),
        ("authority", {"AWS_CA_BUNDLE": "bundle.pem"}),
        ("kinds", {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"}),
        (
            "ignoring",  # the reader of the variables heeds the first before the second
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL_S3": "https://all.example"},
        ),
    ],
)
def test_what_a_profile_says_of_s3_is_said_as_variables(profile: str, expected: dict[str, str]):
    assert s3_environment(open_session(profile), {}) == expected


def test_variables_of_the_process_stay_and_take_precedence_over_the_profile(monkeypatch: pytest.MonkeyPatch):
    environment = {"AWS_ENDPOINT_URL_S3": "https://mine.example", "HOME": "here"}
    monkeypatch.setenv("AWS_CA_BUNDLE", "mine.pem")
    found = s3_environment(open_session("service"), environment)
    assert found == {"AWS_ENDPOINT_URL_S3": "https://mine.example", "HOME": "here", "AWS_CA_BUNDLE": "mine.pem"}


def test_an_address_that_is_set_and_empty_is_not_set():
    environment = {"AWS_ENDPOINT_URL_S3": ""}
    assert s3_environment(open_session("address"), environment)["AWS_ENDPOINT_URL_S3"] == "https://all.example"
