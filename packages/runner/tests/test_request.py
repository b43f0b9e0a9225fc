from __future__ import annotations

import os
import platform

import pytest

from scaler_batch.payload import RunLocation, RunSeal, Seal
from scaler_batch.payload.contract import KEY_IN_CONTAINER, PAYLOAD_KEY_VARIABLE
from scaler_batch.runner.errors import RequestError
from scaler_batch.runner.request import Request, parse_request

RUN = RunLocation("bucket", "prefix", "run", "eu-west-1")


PAYLOAD_KEY = Seal(bytes(range(32)))
DIGITS = bytes(range(32)).hex()
SHARED = f"{KEY_IN_CONTAINER}{PAYLOAD_KEY.fingerprint}"
OWN = RunSeal(RUN, Seal(bytes(32))).submission(7)


def parse(
    run: str = str(RUN),
    sequence: str = "7",
    pack: str = "-",
    key: str = OWN.key.reveal(),
    *more: str,
    **environment: str,
) -> Request:
    return parse_request(["--run", run, "--sequence", sequence, "--pack", pack, "--key", key, *more], environment)


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


@pytest.mark.parametrize(("variable", "private"), [({}, False), ({"SCALER_BATCH_PRIVATE": "1"}, True)])
def test_a_job_is_private_where_it_is_told_so(variable: dict[str, str], private: bool) -> None:
    assert parse(**variable).private is private


@pytest.mark.parametrize("name", ["run", "sequence", "pack", "key"])
def test_a_parameter_that_batch_did_not_fill_in_is_named(name: str) -> None:
    with pytest.raises(RequestError, match=f"submit the job with the parameter '{name}'"):
        parse(**{name: f"Ref::{name}"})


@pytest.mark.parametrize("missing", ["--run", "--sequence", "--pack", "--key"])
def test_an_option_that_is_missing_is_named(missing: str) -> None:
    options = {"--run": str(RUN), "--sequence": "7", "--pack": "-", "--key": OWN.key.reveal()}
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
        parse(str(RUN), "7", "-", OWN.key.reveal(), "c2VjcmV0", "cGFjaw==")
    assert "c2VjcmV0" not in str(caught.value)


def test_a_job_signs_with_the_key_of_its_parameter() -> None:
    assert parse().seal.outcome_key() == OWN.job(None).outcome_key()
    assert parse(AWS_BATCH_JOB_ARRAY_INDEX="3").seal.outcome_key() == OWN.job(3).outcome_key()


def test_a_job_signs_with_what_the_payload_key_of_its_container_makes() -> None:
    found = parse(key=SHARED, **{PAYLOAD_KEY_VARIABLE: DIGITS})
    assert found.seal.outcome_key() == RunSeal(RUN, PAYLOAD_KEY).submission(7).job(None).outcome_key()


@pytest.mark.parametrize(
    ("key", "found", "named"),
    [
        (SHARED, "", ["start the worker without --payload-key", "secret", PAYLOAD_KEY_VARIABLE]),
        (OWN.key.reveal(), DIGITS, ["start the worker with --payload-key", PAYLOAD_KEY_VARIABLE]),
        (SHARED, DIGITS[::-1], ["give both the same", "--payload-key", PAYLOAD_KEY_VARIABLE]),
        (SHARED, DIGITS[1:], [PAYLOAD_KEY_VARIABLE, "64 hex digits"]),
        ("none", "", ["install the same release"]),
        ("", "", ["job definition is of an older release", "provision"]),
        ("Ref::key", "", ["submit the job with the parameter 'key'"]),
    ],
    ids=[
        "only the worker",
        "only the container",
        "two keys",
        "half a key",
        "an old worker",
        "an old definition",
        "none",
    ],
)
def test_two_sides_that_do_not_have_the_same_key_are_told_what_helps(key: str, found: str, named: list[str]) -> None:
    with pytest.raises(RequestError) as raised:
        parse(key=key, **{PAYLOAD_KEY_VARIABLE: found})
    said = str(raised.value)
    assert all(word in said for word in named)
    assert not any(len(secret) > 10 and secret in said for secret in (found, OWN.key.reveal(), DIGITS))


def test_no_key_is_shown_with_a_request() -> None:
    found = parse(key=SHARED, **{PAYLOAD_KEY_VARIABLE: DIGITS})
    assert DIGITS not in repr(found)
    assert OWN.key.reveal() not in repr(parse())
