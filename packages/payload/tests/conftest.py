"""A real S3 over HTTP for the tests that need one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

from scaler_batch.payload import RunLocation

settings.register_profile("payload", deadline=None)
settings.load_profile("payload")

REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """Where the server is, and a bucket on it."""

    endpoint: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.endpoint}

    def run(self) -> RunLocation:
        """A run that nobody has written to."""
        return RunLocation(self.bucket, "some/prefix", uuid4().hex, REGION)


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="session")
def s3(credentials: None) -> Iterator[S3]:
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, region_name=REGION).create_bucket(Bucket="tests")
    yield S3(endpoint, "tests")
    server.stop()
