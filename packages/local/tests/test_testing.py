"""The fixtures, in a test suite of somebody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import boto3
import pytest
from scaler_batch.local import LocalAWS, LocalSettings

@pytest.fixture(scope="session")
def local_aws_settings():
    return LocalSettings(region="eu-west-1", slots=1)

def test_one(local_aws):
    assert isinstance(local_aws, LocalAWS)
    assert local_aws.region == "eu-west-1"

def test_two(local_aws_environment, local_aws):
    client = boto3.client("s3")
    assert client.meta.endpoint_url == local_aws.endpoint_url
    client.create_bucket(Bucket="any", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
"""


@pytest.mark.long
def test_the_fixtures_work_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["scaler_batch.local.testing"]\n')
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout
