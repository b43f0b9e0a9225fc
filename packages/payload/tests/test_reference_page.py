"""The page of the formats is true: its examples are what the code writes and reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scaler_batch.payload import (
    Call,
    Origin,
    Outcome,
    RunLocation,
    Status,
    Usage,
    contract,
    decode_bundle,
    decode_outcomes,
    encode_outcomes,
    encode_pack,
    place,
    placement,
    sections,
)
from scaler_batch.payload.compression import THRESHOLD
from scaler_batch.payload.contract import RUNNER_COMMAND, ExitCode
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.keys import outcome_key, pack_key

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "payload.md"
if not PAGE.exists():
    pytest.skip("the documentation is not part of this distribution", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")

FIRST = bytes(range(16))
CALLS = [[Call(FIRST, b"S", b"F", (b"A",))], [Call(FIRST[::-1], b"S", b"F", (b"B",))]]
OUTCOME = Outcome(FIRST, Status.SUCCESS, b"R", Usage(1.5, 0.25, 4096))
ORIGIN = Origin("0000-1111:2", 1, "host", "3.12.1")


def block(name: str) -> str:
    """The text of a named example."""
    [found] = re.findall(rf"```{{code-block}} \w+\n:name: {name}\n\n(.*?)\n```", TEXT, re.DOTALL)
    return str(found)


def vector(name: str) -> bytes:
    return bytes.fromhex(block(name))


def table(heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table below a heading, without its header."""
    paragraphs = TEXT.split(f"{heading}\n\n", 1)[1].split("\n\n")
    lines = [paragraph for paragraph in paragraphs if paragraph.startswith("|")][number].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_envelope() -> None:
    assert seal(Kind.PACK, b"hello") == vector("vector-envelope")


def test_the_compressed_envelope() -> None:
    assert unseal(Kind.PACK, vector("vector-envelope-gzip")) == b"a" * 5000


def test_the_pack() -> None:
    assert encode_pack(CALLS) == vector("vector-pack")
    assert [decode_bundle(vector("vector-pack"), index) for index in range(2)] == CALLS
    assert sections.split(unseal(Kind.PACK, vector("vector-pack")))[0] == json.loads(block("index-pack"))


def test_the_outcomes() -> None:
    assert encode_outcomes([OUTCOME], ORIGIN) == vector("vector-outcomes")
    assert decode_outcomes(vector("vector-outcomes")) == ([OUTCOME], ORIGIN)
    assert sections.split(unseal(Kind.OUTCOMES, vector("vector-outcomes")))[0] == json.loads(block("index-outcomes"))


def test_every_status_is_explained() -> None:
    assert [row[0] for row in table("### Outcomes", 1)] == [str(status) for status in Status]


def test_every_fact_of_an_outcome_is_explained() -> None:
    index = json.loads(block("index-outcomes"))
    assert [row[0] for row in table("### Outcomes", 0)] == list(index["outcomes"][0])
    assert [row[0] for row in table("### Outcomes", 2)] == list(index["origin"])


def test_the_keys() -> None:
    assert [row[0] for row in table("## Keys")] == [pack_key(7), outcome_key(7, None), outcome_key(7, 3)]


def test_the_parameters() -> None:
    rows = table("## Parameters of a job")
    assert [row[0] for row in rows] == [contract.RUN_PARAMETER, contract.SEQUENCE_PARAMETER, contract.PACK_PARAMETER]
    address, sequence, pack = (row[2] for row in rows)
    assert str(RunLocation("my-bucket", "scaler-tasks", "20261122-1a2b", "us-east-1")) == address
    assert int(sequence) == 7
    assert place(b"x", inline_limit=0).parameter == pack


def test_the_command() -> None:
    assert tuple(block("vector-command").split()) == RUNNER_COMMAND
    assert contract.ARRAY_INDEX_VARIABLE in TEXT


def test_the_exit_codes() -> None:
    rows = table("## Exit codes of the runner")
    assert [(int(row[0]), row[1]) for row in rows] == [(int(code), code.name) for code in ExitCode]


def test_the_limits() -> None:
    below = TEXT.split("## Which way a pack goes", 1)[1]
    overrides = (placement.OVERRIDES_LIMIT, placement.OVERRIDES_RESERVE)
    for limit in (placement.INLINE_LIMIT, placement.MAX_INLINE_LIMIT, *overrides):
        assert f"{limit:,}" in below
    assert f"{THRESHOLD:,}" in TEXT
