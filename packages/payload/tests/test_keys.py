from __future__ import annotations

import contextlib
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scaler_batch.payload import RunLocation
from scaler_batch.payload.errors import ContractError
from scaler_batch.payload.keys import (
    LONGEST_ADDRESS,
    OUTCOMES,
    OutcomeKey,
    check_object_key,
    digest_in,
    interruption_key,
    object_key,
    outcome_folder,
    outcome_key,
    pack_key,
    parse_outcome_key,
)

buckets = st.from_regex(r"[A-Za-z0-9._-]{3,20}", fullmatch=True)
segments = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda text: text not in (".", "..")
)
prefixes = st.lists(segments, max_size=4).map("/".join)
run_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
regions = st.sampled_from(["us-east-1", "eu-central-2", "us-gov-west-1"])


@given(buckets, prefixes, run_ids, regions)
def test_an_address_reads_back_as_the_location(bucket: str, prefix: str, run_id: str, region: str) -> None:
    try:
        run = RunLocation(bucket, prefix, run_id, region)
    except ContractError as error:
        assume("shorter" not in str(error))
        raise
    assert RunLocation.parse(str(run)) == run


def test_the_address_is_a_plain_s3_address() -> None:
    run = RunLocation("bucket", "team/a b", "run-1", "eu-west-1")
    assert str(run) == "s3://bucket/team/a%20b/run-1?region=eu-west-1"
    assert run.root == "team/a b/run-1"
    assert parse_qs(urlsplit(str(run)).query) == {"region": ["eu-west-1"]}


def test_without_a_prefix_the_run_lies_at_the_top_of_the_bucket() -> None:
    run = RunLocation("bucket", "", "run-1", "eu-west-1")
    assert run.root == "run-1"
    assert RunLocation.parse(str(run)) == run


@pytest.mark.parametrize("run_id", ["", "-a", "_a", "a/b", "a.b", "a b", "é", "a" * 65, "a\n"])
def test_a_run_id_that_is_no_part_of_a_job_name_is_refused(run_id: str) -> None:
    with pytest.raises(ContractError):
        RunLocation("bucket", "prefix", run_id, "us-east-1")


@pytest.mark.parametrize(
    "bucket", ["", "ab", "a/b", "a b c", "bücket", "user@bucket", "bucket:80", "bucket?x", "b" * 256]
)
def test_a_bucket_name_that_is_none_is_refused(bucket: str) -> None:
    with pytest.raises(ContractError):
        RunLocation(bucket, "prefix", "run", "us-east-1")


@pytest.mark.parametrize("prefix", ["/", "/a", "a/", "a//b", ".", "a/../b", "a/./b", "a\nb", "a\0", "\ud800"])
def test_a_prefix_that_clients_would_read_differently_is_refused(prefix: str) -> None:
    with pytest.raises(ContractError):
        RunLocation("bucket", prefix, "run", "us-east-1")


@pytest.mark.parametrize("region", ["", "us east 1", "us-east-1\n", "us-east-1&x=1"])
def test_a_region_that_is_none_is_refused(region: str) -> None:
    with pytest.raises(ContractError):
        RunLocation("bucket", "prefix", "run", region)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "run",
        "s3://",
        "s3://bucket",
        "s3://bucket?region=r",
        "s3://bucket/?region=r",
        "s3://bucket/run",
        "s3://bucket/run?",
        "s3://bucket/run?region=",
        "s3://bucket/run?region",
        "s3://bucket/run?zone=a",
        "s3://bucket/run?region=a&region=b",
        "https://bucket/run?region=r",
        "s3://[bucket/run?region=r",
        "s3://bucket/%2e%2e/run?region=r",
        "Ref::run",
    ],
)
def test_what_is_no_address_of_a_run_is_refused(address: str) -> None:
    with pytest.raises(ContractError):
        RunLocation.parse(address)


@given(st.text())
def test_any_text_is_an_address_or_a_contract_error(text: str) -> None:
    for address in (text, f"s3://{text}", f"s3://bucket/{text}?region=r", f"s3://bucket/run?{text}"):
        with contextlib.suppress(ContractError):
            assert isinstance(RunLocation.parse(address), RunLocation)


def test_an_address_is_no_longer_than_what_is_kept_free_for_it() -> None:
    run = RunLocation("bucket", "", "run", "us-east-1")
    room = LONGEST_ADDRESS - len(str(run)) - 1
    longest = RunLocation("bucket", "p" * room, "run", "us-east-1")
    assert len(str(longest)) == LONGEST_ADDRESS
    assert RunLocation.parse(str(longest)) == longest
    for prefix in ("p" * (room + 1), "é" * (room // 6 + 1)):
        with pytest.raises(ContractError, match="shorter"):
            RunLocation("bucket", prefix, "run", "us-east-1")


def test_the_longest_names_that_aws_allows_leave_room_for_a_prefix() -> None:
    assert RunLocation("b" * 63, "p" * 60, "r" * 64, "ap-southeast-4")


numbers = st.integers(0, 10**18)
NAME = "0123456789abcdef" * 2


@given(numbers, st.none() | numbers, numbers)
def test_an_outcome_key_tells_its_job_and_its_first_call(sequence: int, child: int | None, first: int) -> None:
    key = outcome_key(sequence, child, first, NAME)
    assert parse_outcome_key(key) == OutcomeKey(sequence, child, first, 0, NAME)
    elsewhere = outcome_key(sequence, child, first, NAME, 9)
    assert parse_outcome_key(elsewhere) == OutcomeKey(sequence, child, first, 9, NAME)
    assert key.startswith(f"{outcome_folder(sequence, child)}/")


@given(numbers, st.none() | numbers, numbers)
def test_an_interruption_key_tells_its_job_and_answers_no_call(sequence: int, child: int | None, attempt: int) -> None:
    key = interruption_key(sequence, child, attempt, NAME)
    assert parse_outcome_key(key) == OutcomeKey(sequence, child, None, attempt, NAME)


def test_two_attempts_say_at_different_places_that_they_were_interrupted() -> None:
    assert interruption_key(7, 3, 1, NAME) != interruption_key(7, 3, 2, NAME)


def test_keys_are_the_documented_ones() -> None:
    assert pack_key(7) == "packs/7"
    assert object_key("ab", 7) == "objects/ab.7"
    assert outcome_key(7, None, 0, NAME) == f"outcomes/7/0.{NAME}"
    assert outcome_key(7, 0, 5, NAME) == f"outcomes/7.0/5.{NAME}"
    assert outcome_key(7, 0, 5, NAME, 2) == f"outcomes/7.0/5-2.{NAME}"
    assert interruption_key(7, None, 1, NAME) == f"outcomes/7/interrupted.1.{NAME}"
    assert interruption_key(7, 3, 2, NAME) == f"outcomes/7.3/interrupted.2.{NAME}"
    assert outcome_key(7, None, 0, NAME).startswith(f"{OUTCOMES}/")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "packs/7",
        "outcomes/",
        "outcomes/7",
        "outcomes/7.1",
        "outcomes/7/",
        "outcomes/07/0",
        "outcomes/7/00",
        "outcomes/7./0",
        "outcomes/7.01/0",
        "outcomes/-1/0",
        "outcomes/7/-1",
        "outcomes/7.1.2/0",
        "outcomes/7/0\n",
        "outcomes/ 7/0",
        "outcomes/7x/0",
        "outcomes/7/0/0",
        "outcomes/7/interrupted",
        "outcomes/7/interrupted.",
        "outcomes/7/interrupted.x",
        "outcomes/7/interrupted.01",
        "outcomes/7/0.1",
        "outcomes/\N{ARABIC-INDIC DIGIT SEVEN}/0",
        "outcomes/" + "9" * 5000 + "/0",
        "outcomes/7/" + "9" * 5000,
        "a/outcomes/7/0",
        "outcomes/7/0",
        "outcomes/7/0-0",
        "outcomes/7/0-10",
        "outcomes/7/0-1-1",
    ],
)
def test_what_is_no_outcome_key_is_refused(key: str) -> None:
    for name in ("", f".{NAME}", f".{NAME}0", f".{NAME[1:]}", f".{NAME.upper()}", f".{NAME}\n"):
        if name != f".{NAME}" or key != "outcomes/7/0":
            with pytest.raises(ContractError):
                parse_outcome_key(key + name)


@given(st.text() | st.from_regex(r"outcomes/[0-9]/[0-9.a-z-]{0,5}\.[0-9a-f]{32}", fullmatch=True))
def test_any_text_is_an_outcome_key_or_a_contract_error(key: str) -> None:
    try:
        sequence, child, first, place, name = parse_outcome_key(key)
    except ContractError:
        return
    if first is not None:
        assert outcome_key(sequence, child, first, name, place) == key


DIGEST = "0123456789abcdef" * 4


def test_the_key_of_an_object_is_known() -> None:
    assert check_object_key(object_key(DIGEST, 7)) == object_key(DIGEST, 7)
    assert digest_in(object_key(DIGEST, 7)) == DIGEST


@pytest.mark.parametrize(
    "key",
    [
        "",
        "packs/7",
        "objects/",
        f"objects/{DIGEST}",
        f"objects/{DIGEST}.",
        f"objects/{DIGEST}.07",
        f"objects/{DIGEST}.7\n",
        f"objects/{DIGEST}.-7",
        f"objects/{DIGEST.upper()}.7",
        f"objects/{DIGEST[1:]}.7",
        f"objects/{DIGEST}0.7",
        f"objects/../{DIGEST}.7",
        f"a/objects/{DIGEST}.7",
        f"objects/{DIGEST}." + "9" * 20,
    ],
)
def test_what_is_no_key_of_an_object_is_refused(key: str) -> None:
    with pytest.raises(ContractError):
        check_object_key(key)


@given(st.text() | st.text().map(lambda text: f"objects/{DIGEST}{text}"))
def test_any_text_is_the_key_of_an_object_or_a_contract_error(key: str) -> None:
    with contextlib.suppress(ContractError):
        assert check_object_key(key) == key
