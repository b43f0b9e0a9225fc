"""Values of tags."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import tag_value


@pytest.mark.parametrize(
    ("text", "value"),
    [("me@here", "me@here"), ("a b/c:d=e+f-g_h.i", "a b/c:d=e+f-g_h.i"), ("a#b|c!", "a-b-c-"), ("é", "é")],
)
def test_what_aws_takes_stays(text: str, value: str) -> None:
    assert tag_value(text) == value


@given(st.text(max_size=400))
def test_every_value_is_one_that_aws_takes(text: str) -> None:
    assert re.fullmatch(r"[\w .:/=+@-]{0,256}", tag_value(text))
