"""The IAM documents."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import policies

BUCKET = "arn:aws:s3:::bucket"

words = st.text("abc:*", min_size=1, max_size=6)
documents = st.dictionaries(
    words,
    st.recursive(
        words,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def test_tasks_reach_nothing_but_inputs_and_outcomes() -> None:
    statements = policies.run_tasks(BUCKET, "scaler-tasks")["Statement"]
    by_action = {one["Action"]: one for one in statements}
    assert by_action.keys() == {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:*"}
    read = {f"{BUCKET}/scaler-tasks/*/{folder}/*" for folder in ("packs", "objects", "letters", "outcomes")}
    assert set(by_action["s3:GetObject"]["Resource"]) == read
    assert by_action["s3:PutObject"]["Resource"] == f"{BUCKET}/scaler-tasks/*/outcomes/*"
    assert by_action["s3:ListBucket"]["Resource"] == BUCKET
    assert by_action["s3:ListBucket"]["Condition"] == {"StringLike": {"s3:prefix": "scaler-tasks/*/outcomes/*"}}
    denied = by_action["s3:*"]
    assert (denied["Effect"], denied["Resource"]) == ("Deny", f"{BUCKET}/scaler-tasks/leases/*")


def test_containers_write_to_their_log_group_only() -> None:
    statements = policies.start_containers("arn:aws:logs:r:1:log-group:/x")["Statement"]
    (logs,) = [one for one in statements if "logs:PutLogEvents" in one["Action"]]
    assert logs["Resource"] == "arn:aws:logs:r:1:log-group:/x:*"
    assert all(action.startswith(("ecr:", "logs:")) for one in statements for action in one["Action"])


def test_ec2_has_a_name_of_its_own_in_china() -> None:
    assert policies.ec2_service("aws") == policies.ec2_service("aws-us-gov") == "ec2.amazonaws.com"
    assert policies.ec2_service("aws-cn") == "ec2.amazonaws.com.cn"


@given(documents)
def test_the_canonical_form_is_stable_and_survives_json(document: dict[str, Any]) -> None:
    once = policies.canonical(document)
    assert policies.canonical(once) == once
    assert policies.canonical(json.loads(json.dumps(once))) == once


@given(documents, st.randoms(use_true_random=False))
def test_the_order_of_lists_does_not_matter(document: dict[str, Any], random: Any) -> None:
    assert policies.canonical(_shuffled(document, random)) == policies.canonical(document)


def test_statements_are_always_a_list() -> None:
    assert policies.canonical({"Statement": {"Effect": "Deny"}})["Statement"] == [{"Effect": "Deny"}]
    assert policies.trust("x")["Statement"][0]["Principal"] == {"Service": "x"}


def test_a_list_of_one_equals_its_element() -> None:
    assert policies.canonical({"Action": ["s3:*"]}) == policies.canonical({"Action": "s3:*"})


def test_different_documents_stay_different() -> None:
    assert policies.canonical({"Action": ["a", "b"]}) != policies.canonical({"Action": ["a", "c"]})
    assert policies.canonical({"Action": "a"}) != policies.canonical({"NotAction": "a"})


def _shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(one, random) for key, one in value.items()}
    if isinstance(value, list):
        inner = [_shuffled(one, random) for one in value]
        random.shuffle(inner)
        return inner
    return value


@given(st.text() | st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner)))
def test_what_is_no_document_is_read_as_one_that_allows_nothing(found: Any) -> None:
    assert "Statement" not in policies.parse(found)


@given(documents)
def test_a_document_is_read_decoded_or_as_text(document: dict[str, Any]) -> None:
    assert policies.parse(document) == policies.parse(json.dumps(document)) == document
