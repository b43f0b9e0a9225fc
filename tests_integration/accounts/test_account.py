"""The run on an account, on the local AWS: the whole report, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import account
from account_faults import FAULTS
from inventory import everything
from scaler_batch.local import LocalAWS, LocalSettings

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
IMAGE = ("--image", "local/scaler-batch")


@pytest.fixture
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(slots=4)) as running:
        yield running


def run(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    where = ("--region", "us-east-1", "--prefix", "try-1")
    return subprocess.run(
        [sys.executable, account.__file__, *where, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_everything_is_made_used_disturbed_and_removed_and_the_report_tells(aws: LocalAWS, tmp_path: Path) -> None:
    before = everything(aws.client)
    done = run({**os.environ, **aws.environment}, *IMAGE, "--report", str(tmp_path / "report.md"))
    said = (tmp_path / "report.md").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(aws.client) == before
    assert said.startswith("# scaler-batch on an AWS account: passed")
    assert "Results: 4/4 passed" in said
    assert [name for name in FAULTS if f"| {name} |" not in said] == []
    for words in ("is anything left?", "Nothing.", "At most about $", "worker 2", "job timeout", "us-east-1"):
        assert words in said, words
    assert "123456789012" not in said


@pytest.mark.long
def test_what_bears_the_prefix_already_is_left_alone(aws: LocalAWS, tmp_path: Path) -> None:
    batch = aws.client("batch")
    batch.create_scheduling_policy(name="try-1-fair-share", fairsharePolicy={})
    before = everything(aws.client)
    done = run({**os.environ, **aws.environment}, *IMAGE, "--report", str(tmp_path / "report.md"))
    assert done.returncode == 1
    assert "choose another --prefix" in (tmp_path / "report.md").read_text()
    assert everything(aws.client) == before


@pytest.mark.long
def test_where_a_step_fails_the_cleanup_comes_all_the_same(aws: LocalAWS, tmp_path: Path) -> None:
    before = everything(aws.client)
    options = (*IMAGE, "--fair-share", "--report", str(tmp_path / "report.md"))
    done = run({**os.environ, **aws.environment}, *options)
    said = (tmp_path / "report.md").read_text()
    assert done.returncode == 1, done.stdout
    assert "pass --share-identifier NAME" in said, "the worker's own words"
    assert "## Left behind\n\nNothing." in said
    assert everything(aws.client) == before


def test_without_credentials_it_says_so_and_does_nothing(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in KEYS}
    nowhere = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    for options in ((), ("--may-run",)):
        done = run({**bare, **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("skipped: no AWS credentials can be used")
        assert done.stdout.count("\n") == 1


def test_with_credentials_nothing_speaks_against_it(aws: LocalAWS) -> None:
    done = run({**os.environ, **aws.environment}, "--may-run")
    assert (done.returncode, done.stdout) == (0, "")
