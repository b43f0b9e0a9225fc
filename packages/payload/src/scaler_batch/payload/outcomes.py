"""Outcomes: what came of the calls, on their way out of the container.

One object holds the outcomes of one or more calls of a bundle. Its index
(see :mod:`~scaler_batch.payload.sections`) is::

    {"outcomes": [{"position": n, "status": …, "wall": s, "cpu": s, "memory": bytes, "failure": {…}}, …],
     "origin": {"job": id, "attempt": n, "host": name, "python": "3.12.1", "packages": {name: version}}, "sizes": […]}

with one value for each outcome: the serialized result, or the pickled exception. ``failure`` is there unless the call
succeeded, and says in words what the value says in a pickle, for readers that do not unpickle::

    {"type": "ValueError", "message": …, "traceback": …, "signal": n, "exit_code": n}

where what does not apply is left out.

Behind them stands the signature of their job (:class:`~.seals.JobSeal`), which is checked before anything is read here.
But a job's own tasks can find its key. So a reader bounds all of it before it takes memory or time: the body by what
its caller allows, the index by :data:`MAX_INDEX`, and each number. An object that breaks a bound was not written by
:func:`encode_outcomes`, and none of it is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from scaler_batch.payload import sections
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.sections import MAX_NUMBER, in_short, items, text, to_json, whole

MAX_INDEX: Final = 256 * 1024
"""Largest index of outcomes, in bytes: the worst one takes 10 MiB and 50 ms to read, in which no event loop of this
process runs, whatever thread reads it. One call takes about a hundred bytes, and half of this if its failure is as long
as the runner lets one become."""

MAX_ENTRIES: Final = 224 * 1024
"""Most bytes of an index that outcomes take; what says where they come from has the rest."""

_SIZE_ENTRY: Final = 21
"""Bytes of an index that say how large a value is, at most."""

_CONTAINERS: Final = 1_000
"""Lists and objects of an index without outcomes: five, and as many as cost nothing, so that most of what is wrong is
told for what it is."""

_CONTAINERS_OF_ENTRY: Final = 2
"""The entry itself, and its failure."""

MAX_SECONDS: Final = 1e10
"""Most seconds that a call can have taken: three centuries, which all protocols can express."""


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

    @property
    def is_possible(self) -> bool:
        """Whether a reader accepts these numbers: they are finite, not negative, and can be told in any protocol."""
        seconds = all(0 <= spent <= MAX_SECONDS for spent in (self.wall, self.cpu))  # NaN is in no range
        return seconds and 0 <= self.memory <= MAX_NUMBER


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


def in_objects(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    """Divide outcomes among as many objects as it takes, in order, so that no index becomes too large."""
    group: list[Outcome] = []
    room = 0
    for outcome in outcomes:
        size = len(to_json(_entry(outcome)).encode()) + _SIZE_ENTRY
        if group and size > room:
            yield group
            group = []
        if not group:
            room = MAX_ENTRIES
        group.append(outcome)
        room -= size
    if group:
        yield group


def _entry(outcome: Outcome) -> dict[str, Any]:
    entry = {"position": outcome.position, "status": outcome.status, **outcome.usage._asdict()}
    if outcome.failure is not None:
        entry["failure"] = {name: fact for name, fact in outcome.failure._asdict().items() if fact not in (None, "")}
    return entry


def decode_outcomes(
    sealed: Buffer, *, positions: int = MAX_NUMBER, max_body: int = MAX_BODY
) -> tuple[list[Outcome], Origin]:
    """Read what :func:`encode_outcomes` wrote; the values are views into it where it is not compressed.

    Takes memory and time for the body (see :func:`~.envelope.body_size`) and an index of :data:`MAX_INDEX`, no more.

    Args:
        sealed: The whole envelope.
        positions: How many calls the bundle has.
        max_body: Largest body to accept, in bytes.

    Raises:
        MalformedError: Not outcomes of these calls, or damaged; none of the object is to be believed.
        OversizedError: Larger than accepted.
        VersionError: Written by a version this reader does not know.
    """
    body = unseal(Kind.OUTCOMES, sealed, max_body=max_body)
    containers = _CONTAINERS + positions * _CONTAINERS_OF_ENTRY
    index, values = sections.split(body, max_index=MAX_INDEX, max_containers=containers)
    try:
        entries = items(index["outcomes"])
        if len(entries) > positions:
            raise ValueError(f"{len(entries)} outcomes of {positions} calls")
        outcomes = [_outcome(entry, value, positions) for entry, value in zip(entries, values, strict=True)]
        return outcomes, _origin(**index["origin"])
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise MalformedError(f"the index does not describe outcomes: {in_short(error)}") from error


def _outcome(entry: dict[str, Any], value: memoryview, positions: int) -> Outcome:
    position = whole(entry["position"])
    if position >= positions:
        raise ValueError(f"an outcome of call {position} of {positions}")
    failure = _failure(**entry["failure"]) if "failure" in entry else None
    return Outcome(position, Status(text(entry["status"])), value, _usage(entry), failure)


def _usage(entry: dict[str, Any]) -> Usage:
    wall, cpu = entry["wall"], entry["cpu"]
    if {type(wall), type(cpu)} <= {int, float} and Usage(wall, cpu).is_possible:
        return Usage(float(wall), float(cpu), whole(entry["memory"]))
    raise ValueError(f"not numbers of seconds from 0 to {MAX_SECONDS:g}")


def _failure(
    *, type: Any = "", message: Any = "", traceback: Any = "", signal: Any = None, exit_code: Any = None
) -> Failure:
    return Failure(text(type), text(message), text(traceback), _number(signal), _number(exit_code))


def _number(entry: Any) -> int | None:
    return None if entry is None else whole(entry)


def _origin(job: Any, attempt: Any, host: Any, python: Any, packages: Any) -> Origin:
    versions = {text(name): text(version) for name, version in packages.items()}
    return Origin(text(job), whole(attempt), text(host), text(python), versions)
