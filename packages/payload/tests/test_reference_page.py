"""The page of the formats is true: its examples are what the code writes and reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.payload import (
    Bundle,
    Call,
    Client,
    Failure,
    Origin,
    Outcome,
    Pack,
    Reference,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    Stored,
    Usage,
    contract,
    decode_bundle,
    decode_object,
    decode_outcomes,
    decode_pack,
    encode_object,
    encode_outcomes,
    encode_pack,
    fetch_bundle,
    locate,
    objects,
    parts,
    place,
    placement,
    sections,
)
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.compression import THRESHOLD
from scaler_batch.payload.contract import RUNNER_COMMAND, ExitCode
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.keys import LONGEST_ADDRESS, interruption_key, object_key, outcome_key, pack_key

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "payload.md"
if not PAGE.exists():
    pytest.skip("the documentation is not part of this distribution", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")

CLIENT = Client("3.12", "3.1.2")
OBJECT = Reference(object_key("0123456789abcdef" * 4, 7), 5)
FIRST, SECOND = Call(b"S", b"F", (b"A",)), Call(b"S", b"F", (b"B",))
REFERRING = Call(b"S", b"F", (b"B", OBJECT))
SAID = [
    Outcome(0, Status.SUCCESS, b"R", Usage(1.5, 0.25, 4096)),
    Outcome(1, Status.CRASHED, b"", Usage(0.5, 0.125, 0), Failure(message="killed by signal 11", signal=11)),
]
ORIGIN = Origin("0000-1111:2", 1, "host", "3.12.1", {"cloudpickle": "3.1.2"})


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


def joined(pieces: Pieces) -> bytes:
    return b"".join(pieces)


def index(kind: Kind, sealed: Buffer) -> dict[str, Any]:
    return sections.split(unseal(kind, sealed))[0]


def test_the_envelope() -> None:
    assert joined(seal(Kind.PACK, [b"hello"])) == vector("vector-envelope")


def test_the_compressed_envelope() -> None:
    assert unseal(Kind.PACK, vector("vector-envelope-gzip")) == b"a" * 5000


def test_the_kinds() -> None:
    [row] = [row for row in table("## Envelope") if row[2].startswith("kind")]
    assert re.findall(r"[0-9]+", row[2]) == [f"{kind:d}" for kind in Kind]


def test_the_pack() -> None:
    pack = vector("vector-pack")
    assert joined(encode_pack([[FIRST], [REFERRING]], client=CLIENT, processes=2).pieces) == pack
    assert decode_pack(pack) == [Bundle([FIRST], CLIENT, 2), Bundle([REFERRING], CLIENT, 2)]
    assert decode_bundle(pack, 1) == Bundle([REFERRING], CLIENT, 2)
    assert index(Kind.PACK, pack) == json.loads(block("index-pack"))
    assert [row[0] for row in table("### Pack")] == [name for name in index(Kind.PACK, pack) if name != "sizes"]


def test_the_pack_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = vector("vector-parts")
    parameter = block("parameter-parts")
    found = locate(parameter)
    assert isinstance(found, Stored)
    for number, call in enumerate([FIRST, SECOND]):
        read = fetch_bundle(
            lambda ranges: [pack[start:end] for start, end in ranges], found.table, found.digest, number
        )
        assert read == Bundle([call])
    assert index(Kind.TABLE, pack[: found.table]) == json.loads(block("index-parts"))
    monkeypatch.setattr(parts, "WHOLE_UP_TO", 0)
    written = encode_pack([[FIRST], [SECOND]])
    assert (joined(written.pieces), place(written).parameter) == (pack, parameter)
    assert f"in pages of {parts.PAGE}" in TEXT


def test_the_object() -> None:
    assert joined(encode_object(b"hello")) == vector("vector-object")
    reference = Reference(object_key(hashlib.sha256(b"hello").hexdigest(), 7), 5)
    assert decode_object(vector("vector-object"), reference) == b"hello"


def test_the_outcomes() -> None:
    assert joined(encode_outcomes(SAID, ORIGIN)) == vector("vector-outcomes")
    assert decode_outcomes(vector("vector-outcomes")) == (SAID, ORIGIN)
    assert index(Kind.OUTCOMES, vector("vector-outcomes")) == json.loads(block("index-outcomes"))


SUBMISSION = RunSeal(RunLocation("bucket", "prefix", "run", "us-east-1"), Seal(bytes(range(32)))).submission(7)


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def mac(key: bytes, purpose: bytes, *facts: bytes, over: bytes = b"") -> bytes:
    return hmac.digest(key, framed(b"scaler-batch " + purpose, framed(*facts)) + over, "sha256")


def test_keys_names_and_signatures_are_made_as_the_page_says() -> None:
    """By the standard library, from the words of the page."""
    run, key = b"ss3://bucket/prefix/run?region=us-east-1", block("outcome-key")
    submission = mac(bytes(range(32)), b"derive", b"ssubmission", run, b"i7")
    assert base64.b64encode(submission).decode().rstrip("=") == SUBMISSION.key.reveal() == block("submission-key")
    job = mac(submission, b"derive", b"sjob", b"i3")
    assert f"outcomes/7.3/20.{mac(job, b'name', b'soutcome', b'i20', b'i0')[:16].hex()}" == key
    assert SUBMISSION.job(3).outcome_key(20) == key
    outcomes = vector("vector-outcomes")
    signed = mac(job, b"sign", b"sobject", run, b"i7", b"i3", b"s" + key.encode(), over=outcomes)
    assert signed == vector("vector-signature")
    assert SUBMISSION.job(3).open(key, outcomes + signed) == outcomes


def test_every_status_is_explained() -> None:
    assert [row[0] for row in table("### Outcomes", 1)] == [str(status) for status in Status]


def test_every_fact_of_an_outcome_is_explained() -> None:
    described = json.loads(block("index-outcomes"))
    assert [row[0] for row in table("### Outcomes", 0)] == list(described["outcomes"][1])
    assert [row[0] for row in table("### Outcomes", 2)] == list(Failure._fields)
    assert [row[0] for row in table("### Outcomes", 3)] == list(described["origin"])


def test_the_keys() -> None:
    assert [row[0] for row in table("## Keys")] == [
        pack_key(7),
        object_key("<SHA-256>", 7),
        outcome_key(7, None, 0, "<name>"),
        outcome_key(7, 3, 20, "<name>"),
        outcome_key(7, 3, 20, "<name>", 1),
        interruption_key(7, 3, 2, "<name>"),
    ]


def test_the_parameters() -> None:
    rows = table("## Parameters of a job")
    assert [f"Ref::{row[0]}" for row in rows] == [word for word in RUNNER_COMMAND if word.startswith("Ref::")]
    address, sequence, pack, key = (row[2] for row in rows)
    assert str(RunLocation("my-bucket", "scaler-tasks", "20261122-1a2b", "us-east-1")) == address
    assert int(sequence) == 7
    assert pack == place(Pack([], 79)).parameter.replace(hashlib.sha256().hexdigest(), "<SHA-256>")
    assert Seal.parse(key).reveal() == SUBMISSION.key.reveal() == key
    assert contract.PAYLOAD_KEY_VARIABLE in TEXT
    assert f"{LONGEST_ADDRESS} characters" in rows[0][1]


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
    assert parts.WHOLE_UP_TO == objects.THRESHOLD == 2**20
    assert TEXT.count("larger than 1 MiB") == 2
