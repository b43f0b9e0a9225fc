from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local.batch.specification import substitute

NAMES = st.text("abAB09_-", min_size=1, max_size=4)


def test_an_element_that_is_a_reference_becomes_the_parameter() -> None:
    assert substitute(["run", "Ref::pack"], {"pack": "AAAA"}) == ("run", "AAAA")


def test_a_reference_is_a_whole_word() -> None:
    assert substitute(["Ref::ab", "Ref::a"], {"a": "1"}) == ("Ref::ab", "1")


def test_a_reference_inside_an_element_is_replaced() -> None:
    assert substitute(["s3://bucket/Ref::key/in"], {"key": "k"}) == ("s3://bucket/k/in",)


def test_only_the_first_reference_of_an_element_is_replaced() -> None:
    assert substitute(["Ref::a Ref::a"], {"a": "1"}) == ("1 Ref::a",)


def test_a_reference_without_a_parameter_stays() -> None:
    assert substitute(["Ref::a"], {}) == ("Ref::a",)


def test_what_is_put_in_is_not_read_again() -> None:
    assert substitute(["Ref::a"], {"a": "Ref::b", "b": "2"}) == ("Ref::b",)


@given(st.dictionaries(NAMES, st.text()), NAMES)
def test_each_parameter_is_found_by_its_own_name_only(parameters: dict[str, str], name: str) -> None:
    assert substitute([f"Ref::{name}"], parameters) == (parameters.get(name, f"Ref::{name}"),)
