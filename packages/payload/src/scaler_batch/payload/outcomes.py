"""Outcomes: what came of the calls, on their way out of the container.

One object holds the outcomes of one or more calls of a bundle. Its index
(see :mod:`~scaler_batch.payload.sections`) is::

    {"outcomes": [{"task": hex, "status": …, "wall": s, "cpu": s, "memory": bytes}, …],
     "origin": {"job": id, "attempt": n, "host": name, "python": "3.12.1"}, "sizes": […]}

with one value for each outcome: the serialized result, the pickled exception, or a text in UTF-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from scaler_batch.payload import sections
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.sections import Buffer


class Status(StrEnum):
    """How a call ended, and so what its value is."""

    SUCCESS = "success"
    """It returned; the value is the result, written by the client's serializer."""
    RAISED = "raised"
    """It raised; the value is a pickle of the exception that plain ``pickle.loads`` reads at the client."""
    UNPICKLABLE = "unpicklable"
    """It raised something that cannot travel; the value is the text ``Type: message`` and the traceback."""
    CRASHED = "crashed"
    """Its process ended without an answer; the value is a text that says how."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of processor time, user and system.
        memory: Bytes of resident memory at its peak, above what the runner itself had.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call."""

    task_id: bytes
    status: Status
    value: Buffer
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where outcomes come from.

    Attributes:
        job: AWS Batch's id of the job, ``parent:index`` for a child of an array.
        attempt: Which attempt of the job, from 1.
        host: Name of the machine or container.
        python: Version of the Python that ran the calls.
    """

    job: str
    attempt: int
    host: str
    python: str


def encode_outcomes(outcomes: Sequence[Outcome], origin: Origin) -> bytes:
    """Write outcomes as one sealed object."""
    index = {
        "outcomes": [{"task": item.task_id.hex(), "status": item.status, **asdict(item.usage)} for item in outcomes],
        "origin": asdict(origin),
    }
    return seal(Kind.OUTCOMES, sections.join(index, [item.value for item in outcomes]))


def decode_outcomes(sealed: Buffer, *, max_body: int = MAX_BODY) -> tuple[list[Outcome], Origin]:
    """Read what :func:`encode_outcomes` wrote; the values are views into it where it is not compressed.

    Raises:
        MalformedError: Not outcomes, or damaged.
        VersionError: Written by a version this reader does not know.
    """
    index, values = sections.split(unseal(Kind.OUTCOMES, sealed, max_body=max_body))
    try:
        entries = index["outcomes"]
        outcomes = [_outcome(entry, value) for entry, value in zip(entries, values, strict=True)]
        return outcomes, _origin(**index["origin"])
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise MalformedError(f"the index does not describe outcomes: {error!r}") from error


def _outcome(entry: dict[str, Any], value: memoryview) -> Outcome:
    usage = Usage(wall=float(entry["wall"]), cpu=float(entry["cpu"]), memory=int(entry["memory"]))
    return Outcome(bytes.fromhex(entry["task"]), Status(entry["status"]), value, usage)


def _origin(job: Any, attempt: Any, host: Any, python: Any) -> Origin:
    return Origin(job=str(job), attempt=int(attempt), host=str(host), python=str(python))
