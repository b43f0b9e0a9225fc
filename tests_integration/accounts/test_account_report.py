"""The report of a run on an account: what it tells, and what it never tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import account
from account_report import Explained, Report, Step, Verdict, page, redacted
from csm import RequestCounter

ACCOUNT = "123456789012"
KEY, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEXAMPLETOKEN"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/somebody@example.org"


def finished(**changes: object) -> Report:
    report = Report(steps=[Step("provision", 12.34, Verdict.OK, "11 resources")], left={"roles": []})
    for name, value in changes.items():
        setattr(report, name, value)
    return report


@pytest.mark.parametrize(
    "text",
    [
        f"bucket p-{ACCOUNT}-eu-west-1",
        f"arn:aws:iam::{ACCOUNT}:role/p-eu-west-1-job",
        f"User: {CALLER} is not authorized",
        f"key {KEY} and {SECRET}, {TOKEN}",
        f"arn:aws-cn:iam::{ACCOUNT}:user/ann",
    ],
)
def test_nothing_of_account_keys_and_caller_is_in_the_report(text: str) -> None:
    report = finished(
        facts={"options": text},
        steps=[Step(text, 1, Verdict.FAILED, text)],
        explained=[Explained("job", "FAILED", [text], text)],
        left={"roles": [text]},
        unseen={"roles": text},
        details=[("doctor", text)],
    )
    said = page(report, [KEY, SECRET, TOKEN])
    assert not [part for part in (ACCOUNT, KEY, SECRET, TOKEN, "somebody", "ann") if part in said]


@given(st.text(alphabet="ab ", max_size=8), st.from_regex(r"[0-9]{12}", fullmatch=True))
def test_any_account_number_is_replaced_wherever_it_stands(around: str, number: str) -> None:
    assert number not in redacted(f"{around}:{number}:{around}")


def test_ids_of_jobs_stay_as_they_are() -> None:
    job = "13532be8-2152-4685-91a1-4839da1aa31e"
    assert redacted(job) == job


def test_a_run_passes_only_if_all_went_well_and_nothing_is_left() -> None:
    assert finished().passed
    assert not finished(left=None).passed, "nobody has looked"
    assert not finished(left={"roles": ["p-job"]}).passed
    assert not finished(unseen={"roles": "AccessDenied"}).passed, "who cannot look cannot tell"
    assert not finished(steps=[Step("doctor", 1, Verdict.FAILED)]).passed


def test_what_is_left_is_named_by_kind() -> None:
    said = page(finished(left={"roles": ["p-job"], "buckets": []}, unseen={"buckets": "AccessDenied"}))
    assert "- roles: p-job" in said
    assert "- buckets: could not be looked at: AccessDenied" in said
    assert "Looked for: roles." in said


def test_the_cost_is_that_of_machines_and_requests() -> None:
    idle = finished(vcpus=4, seconds_of_machines=0.0, calls={"worker": Counter(PutObject=1000)})
    assert idle.dollars == pytest.approx(0.005)
    busy = finished(vcpus=4, seconds_of_machines=3600.0)
    assert busy.dollars == pytest.approx(0.28)
    assert finished(vcpus=4, seconds_of_machines=3600.0, gpus=True).dollars > 3 * busy.dollars


def test_a_table_stays_one_whatever_a_note_holds() -> None:
    said = page(finished(steps=[Step("a", 1, Verdict.OK, "one | two\nthree")]))
    assert "| a | 1.0 | ok | one \\| two three |" in said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--image", "i"], ["--image", "i", "--max-vcpus", "4"]),
        (["--image=i", "--max-vcpus=16"], ["--image=i", "--max-vcpus=16"]),
    ],
)
def test_what_is_not_chosen_is_small(given: list[str], expected: list[str]) -> None:
    assert account.with_defaults(given) == expected


def test_without_an_image_one_is_built_for_the_python_of_the_client() -> None:
    words = account.with_defaults([])
    assert account.value_of("--python", words, "") == "{}.{}".format(*sys.version_info)
    assert account.value_of("--wheels", words, "").endswith("/wheelhouse")


@pytest.mark.parametrize("words", [["--gpus", "2"], ["--gpus=2"]])
def test_options_are_read_in_both_forms(words: list[str]) -> None:
    assert account.value_of("--gpus", words, "0") == "2"
    assert account.value_of("--memory", words, "2048") == "2048"


ASK = """
import boto3
from botocore.config import Config

quick = Config(connect_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"})
batch = boto3.client("batch", endpoint_url="http://127.0.0.1:9", region_name="us-east-1", config=quick)
batch.describe_job_queues()
"""


def test_requests_of_another_program_are_counted() -> None:
    with RequestCounter() as counter:
        environment = {**os.environ, **counter.environment, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True)
    assert "EndpointConnectionError" in done.stderr
    assert counter.counted == {"Batch.DescribeJobQueues": 2}
