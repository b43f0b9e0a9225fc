"""Outcomes: what came of the calls, on their way out of the container.

One object holds the outcomes of one or more calls of a bundle. Its index
(see :mod:`~scaler_batch.payload.sections`) is::

    {"outcomes": [{"position": n, "status": …, "wall": s, "cpu": s, "memory": bytes, "failure": {…}}, …],
     "origin": {"job": id, "attempt": n, "host": name, "python": "3.12.1", "packages": {name: version}}, "sizes": […]}

with one value for each outcome: the serialized result, or the pickled exception. ``failure`` is there unless the call
succeeded, and says in words what the value says in a pickle, for readers that do not unpickle::

    {"type": "ValueError", "message": …, "traceback": …, "signal": n, "exit_code": n}

where what does not apply is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from scaler_batch.payload import sections
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.sections import items, text, whole


class Status(StrEnum):
    """How a call ended, and so what its value is; no value unless one is named."""

    SUCCESS = "success"
    """It returned; the value is the result, written by the client's serializer."""
    RAISED = "raised"
    """It raised; the value is a pickle of the exception that plain ``pickle.loads`` reads at the client."""
    UNPICKLABLE = "unpicklable"
    """It raised something that cannot travel."""
    CRASHED = "crashed"
    """Its process ended without an answer."""
    OUT_OF_MEMORY = "out_of_memory"
    """Its process was killed because the container had no memory left."""
    MISMATCHED = "mismatched"
    """It was not read, because the container has another Python, or another cloudpickle, than its client."""
    INTERRUPTED = "interrupted"
    """The job was told to stop before the call had ended. Another attempt of the job may still answer it."""


class Usage(NamedTuple):
    """What a call used.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of processor time, user and system.
        memory: Bytes of resident memory at its peak, above what its process had when it began.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0


class Failure(NamedTuple):
    """Why a call did not succeed, in words. The user's data, all of it but the numbers: nothing to be logged.

    Attributes:
        type: Name of the exception's class; empty where nothing was raised.
        message: What happened.
        traceback: The remote traceback as Python prints it; empty where nothing was raised.
        signal: Number of the signal that ended the call's process.
        exit_code: Exit code of the call's process, where it left without an answer.
    """

    type: str = ""
    message: str = ""
    traceback: str = ""
    signal: int | None = None
    exit_code: int | None = None


class Outcome(NamedTuple):
    """What came of one call.

    Attributes:
        position: Which call of the bundle.
        status: How it ended.
        value: What it left; see :class:`Status`.
        usage: What it used.
        failure: Why it did not succeed; ``None`` where it did.
    """

    position: int
    status: Status
    value: Buffer = b""
    usage: Usage = Usage()
    failure: Failure | None = None


class Origin(NamedTuple):
    """Where outcomes come from.

    Attributes:
        job: AWS Batch's id of the job, ``parent:index`` for a child of an array.
        attempt: Which attempt of the job, from 1.
        host: Name of the machine or container.
        python: Version of the Python that ran the calls.
        packages: Versions of what wrote this, by name.
    """

    job: str
    attempt: int
    host: str
    python: str
    packages: dict[str, str]


def encode_outcomes(outcomes: Sequence[Outcome], origin: Origin) -> Pieces:
    """Write outcomes as one sealed object, given in pieces."""
    index = {"outcomes": [_entry(outcome) for outcome in outcomes], "origin": origin._asdict()}
    return seal(Kind.OUTCOMES, sections.join(index, [outcome.value for outcome in outcomes]))


def _entry(outcome: Outcome) -> dict[str, Any]:
    entry = {"position": outcome.position, "status": outcome.status, **outcome.usage._asdict()}
    if outcome.failure is not None:
        entry["failure"] = {name: fact for name, fact in outcome.failure._asdict().items() if fact not in (None, "")}
    return entry


def decode_outcomes(sealed: Buffer, *, max_body: int = MAX_BODY) -> tuple[list[Outcome], Origin]:
    """Read what :func:`encode_outcomes` wrote; the values are views into it where it is not compressed.

    Raises:
        MalformedError: Not outcomes, or damaged.
        VersionError: Written by a version this reader does not know.
    """
    index, values = sections.split(unseal(Kind.OUTCOMES, sealed, max_body=max_body))
    try:
        entries = index["outcomes"]
        outcomes = [_outcome(entry, value) for entry, value in zip(items(entries), values, strict=True)]
        return outcomes, _origin(**index["origin"])
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise MalformedError(f"the index does not describe outcomes: {error!r}") from error


def _outcome(entry: dict[str, Any], value: memoryview) -> Outcome:
    usage = Usage(_seconds(entry["wall"]), _seconds(entry["cpu"]), whole(entry["memory"]))
    failure = _failure(**entry["failure"]) if "failure" in entry else None
    return Outcome(whole(entry["position"]), Status(text(entry["status"])), value, usage, failure)


def _seconds(entry: Any) -> float:
    if type(entry) not in (int, float):
        raise ValueError("not a number of seconds")
    return float(entry)


def _failure(
    *, type: Any = "", message: Any = "", traceback: Any = "", signal: Any = None, exit_code: Any = None
) -> Failure:
    return Failure(text(type), text(message), text(traceback), _number(signal), _number(exit_code))


def _number(entry: Any) -> int | None:
    return None if entry is None else whole(entry)


def _origin(job: Any, attempt: Any, host: Any, python: Any, packages: Any) -> Origin:
    versions = {name: text(version) for name, version in packages.items()}
    return Origin(text(job), whole(attempt), text(host), text(python), versions)
