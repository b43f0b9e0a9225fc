"""The examples of the reference page are what the published library writes, and are read as such."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "wire.md"
EXAMPLE = re.compile(r"```\{code-block\} text\n:name: vector-(\w+)\n\n([0-9a-f\s]+)```")


def examples() -> dict[str, bytes]:
    return {name: bytes.fromhex("".join(text.split())) for name, text in EXAMPLE.findall(PAGE.read_text())}


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not part of this distribution")
def test_the_examples_are_those_that_other_tests_read(vectors: dict[str, bytes]) -> None:
    shown = examples()
    assert len(shown) >= 9
    assert {name: vectors[name] for name in shown} == shown
