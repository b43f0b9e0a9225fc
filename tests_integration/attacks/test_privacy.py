"""Whoever may describe jobs, or read the logs of jobs and workers, and wants to know what tasks are given and do."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack import Options, Stack

TASKS = """
import sys
from scaler import Client

class DaffodilOf{mode}(Exception):
    pass

def tulip_of_{mode}(word):
    return word.upper()

def crocus_of_{mode}(word):
    raise DaffodilOf{mode}(word)

with Client(address=sys.argv[1]) as client:
    word = "hyacinth-" + "of-{mode}"
    print("answered", client.submit(tulip_of_{mode}, word).result() == word.upper())
    try:
        client.submit(crocus_of_{mode}, word).result()
    except Exception as error:
        print("raised", word in str(error))
"""

LOUD = """
[loggers]
keys = root,botocore,endpoint,urllib3,asyncio
[handlers]
keys = stderr
[formatters]
keys = plain
[logger_root]
level = DEBUG
handlers = stderr
[logger_botocore]
level = DEBUG
handlers =
qualname = botocore
[logger_endpoint]
level = DEBUG
handlers =
qualname = botocore.endpoint
[logger_urllib3]
level = DEBUG
handlers =
qualname = urllib3.connectionpool
[logger_asyncio]
level = DEBUG
handlers =
qualname = asyncio
[handler_stderr]
class = StreamHandler
args = ()
formatter = plain
[formatter_plain]
format = %(asctime)s %(levelname)s %(name)s: %(message)s
"""


@dataclass(frozen=True)
class Observed:
    """A worker that has done its work, and all that others can see of it.

    Attributes:
        mode: Stands in all names and values of its tasks.
        jobs: What DescribeJobs tells of its jobs.
        worker_log: What the worker has logged, everything being asked for.
        job_log: What all jobs have logged.
    """

    mode: str
    jobs: str
    worker_log: str
    job_log: str

    @property
    def words(self) -> tuple[str, ...]:
        """What nobody else should know: names of functions and classes, and what tasks are given."""
        return tuple(f"{word}{self.mode}" for word in ("tulip_of_", "crocus_of_", "DaffodilOf", "hyacinth-of-"))

    def known_from(self, text: str) -> set[str]:
        """What a text tells, to somebody who knows base64."""
        return {word for word in self.words if word in text or word.encode() in decoded(text)}


def decoded(text: str) -> bytes:
    """Whatever in a text may be base64, as bytes."""
    found = re.findall(r"[A-Za-z0-9+/]{24,}=*", text)
    return b"\n".join(base64.b64decode(piece[: len(piece) // 4 * 4]) for piece in found)


def observe(cloud: Stack, folder: Path, mode: str, *options: str) -> Observed:
    """Run tasks, one that returns and one that raises, and look at everything."""
    loud = folder / "logging.conf"
    loud.write_text(LOUD)
    with Stack(Options(worker=("--logging-config-file", str(loud), "--name", f"privacy-{mode}", *options))) as stack:
        stack.join(cloud)
        adapter = stack.start_adapter()
        said = stack.run("client", "-c", TASKS.format(mode=mode), stack.scheduler_address)
        assert "answered True" in said
        assert "raised True" in said
        assert stack.stop(adapter) == 0
        worker_log = adapter.log.read_text()
        ids = re.findall(r"submitted \S+ as job (\S+)", worker_log)
        jobs = json.dumps(stack.aws("batch").describe_jobs(jobs=ids)["jobs"], default=str)
        assert len(ids) == 2
        logs = stack.aws("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        lines = [event["message"] for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]
    return Observed(mode, jobs, worker_log, "\n".join(lines))


@pytest.fixture(scope="module")
def usual(cloud: Stack, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    return observe(cloud, Path(tmp_path_factory.mktemp("usual")), "Usual")


@pytest.fixture(scope="module")
def private(cloud: Stack, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    return observe(cloud, Path(tmp_path_factory.mktemp("private")), "Private", "--private", "yes")


def test_whoever_describes_jobs_learns_nothing_of_private_tasks(usual: Observed, private: Observed) -> None:
    assert usual.known_from(usual.jobs) == set(usual.words)  # as documented: small packs can be read
    assert private.known_from(private.jobs) == set()


def test_whoever_reads_the_logs_of_jobs_learns_nothing_of_private_tasks(usual: Observed, private: Observed) -> None:
    assert {"tulip_of_Usual", "crocus_of_Usual", "DaffodilOfUsual"} <= usual.known_from(usual.job_log)
    assert "hyacinth-of-Usual" not in usual.job_log
    assert private.known_from(private.job_log) == set()


@pytest.mark.parametrize("mode", ["usual", "private"])
def test_whoever_reads_the_log_of_a_worker_learns_nothing_of_tasks_or_credentials(
    usual: Observed, private: Observed, mode: str
) -> None:
    observed = {"usual": usual, "private": private}[mode]
    assert " DEBUG " in observed.worker_log  # everything was asked for
    assert observed.known_from(observed.worker_log) == set()
    packs = re.findall(r'"pack": "([^"]+)"', observed.jobs)
    assert len(packs) == 2
    assert [pack for pack in packs if len(pack) > 8 and pack[:60] in observed.worker_log] == []
    assert "Authorization" not in observed.worker_log
    assert "AWS4-HMAC" not in observed.worker_log


def test_the_local_aws_logs_nothing_of_tasks(usual: Observed, cloud: Stack) -> None:
    assert usual.known_from(cloud.part("local AWS").log.read_text()) == set()
