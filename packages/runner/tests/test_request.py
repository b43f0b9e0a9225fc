from __future__ import annotations

import os
import platform

import pytest

from scaler_batch.payload import RunLocation
from scaler_batch.runner.errors import RequestError
from scaler_batch.runner.request import Request, parse_request

RUN = RunLocation("bucket", "prefix", "run", "eu-west-1")


def parse(run: str = str(RUN), sequence: str = "7", pack: str = "-", *more: str, **environment: str) -> Request:
    return parse_request(["--run", run, "--sequence", sequence, "--pack", pack, *more], environment)


def test_a_single_job_outside_of_batch() -> None:
    request = parse()
    assert (request.run, request.sequence, request.pack, request.array_index) == (RUN, 7, "-", None)
    assert (request.origin.job, request.origin.attempt) == ("", 1)
    assert request.origin.python == platform.python_version()
    assert request.origin.host == os.uname().nodename


def test_the_child_of_an_array_knows_its_place_its_job_and_its_attempt() -> None:
    request = parse(AWS_BATCH_JOB_ARRAY_INDEX="3", AWS_BATCH_JOB_ID="id:3", AWS_BATCH_JOB_ATTEMPT="2")
    assert request.array_index == 3
    assert (request.origin.job, request.origin.attempt) == ("id:3", 2)


@pytest.mark.parametrize("name", ["run", "sequence", "pack"])
def test_a_parameter_that_batch_did_not_fill_in_is_named(name: str) -> None:
    with pytest.raises(RequestError, match=f"submit the job with the parameter '{name}'"):
        parse(**{name: f"Ref::{name}"})


@pytest.mark.parametrize("missing", ["--run", "--sequence", "--pack"])
def test_an_option_that_is_missing_is_named(missing: str) -> None:
    options = {"--run": str(RUN), "--sequence": "7", "--pack": "-"}
    arguments = [text for name, value in options.items() if name != missing for text in (name, value)]
    with pytest.raises(RequestError, match=missing):
        parse_request(arguments, {})


@pytest.mark.parametrize(
    "sequence", ["", "-1", "07", "1.0", "one", " 1", "1\n", "\N{ARABIC-INDIC DIGIT SEVEN}", "9" * 20]
)
def test_a_sequence_that_is_no_number_is_refused(sequence: str) -> None:
    with pytest.raises(RequestError, match="--sequence"):
        parse(sequence=sequence)


@pytest.mark.parametrize("name", ["AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ATTEMPT"])
def test_a_variable_of_batch_that_is_no_number_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestError, match=name):
        parse(**{name: "first"})


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match="--run"):
        parse(run="https://example.com/run")


def test_an_abbreviated_option_is_not_guessed() -> None:
    with pytest.raises(RequestError):
        parse_request(["--ru", str(RUN), "--sequence", "7", "--pack", "-"], {})


def test_arguments_too_many_are_counted_but_not_repeated_because_they_may_be_a_pack() -> None:
    with pytest.raises(RequestError, match="2 arguments too many") as caught:
        parse(str(RUN), "7", "-", "c2VjcmV0", "cGFjaw==")
    assert "c2VjcmV0" not in str(caught.value)
