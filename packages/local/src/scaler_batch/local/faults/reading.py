"""Faults as JSON and TOML have them: a ``kind``, which is the name of the class, and its attributes.

::

    seed = 7

    [[fault]]
    kind = "Throttle"
    calls = "batch.SubmitJob"
    share = 0.2
    span = 30
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from ..errors import FaultError
from . import calls, jobs, reads
from .base import Fault

KINDS: Final[Mapping[str, type[Fault]]] = {
    kind.__name__: kind
    for kind in (
        calls.Throttle,
        calls.RateLimit,
        calls.ServerError,
        calls.ExpiredToken,
        calls.InvalidCredentials,
        calls.Deny,
        calls.Conflict,
        calls.Slow,
        calls.Hang,
        calls.Drop,
        calls.LoseResponse,
        reads.Vanish,
        reads.Stale,
        reads.Duplicate,
        reads.UnknownState,
        reads.Omit,
        reads.BulkError,
        jobs.HoldRunnable,
        jobs.FailStart,
        jobs.Reclaim,
        jobs.Kill,
    )
}

DEFAULT_SEED: Final = 0


@dataclass(frozen=True)
class Plan:
    """Faults to be injected together, and the seed of their chances."""

    faults: tuple[Fault, ...] = ()
    seed: int = DEFAULT_SEED


def to_json(fault: Fault) -> dict[str, Any]:
    """A fault as JSON has it; what is at its default is left out."""
    values = {each.name: (getattr(fault, each.name), each.default) for each in fields(fault)}
    changed = {name: value for name, (value, default) in values.items() if value != default or default is MISSING}
    return {"kind": type(fault).__name__, **changed}


def from_json(entry: object) -> Fault:
    """The fault that an entry describes.

    Raises:
        FaultError: It describes none.
    """
    if not isinstance(entry, Mapping):
        raise FaultError("a fault is an object with a kind")
    values = dict(entry)
    kind = KINDS.get(str(values.pop("kind", None)))
    if kind is None:
        raise FaultError(f"a fault's kind is one of {', '.join(KINDS)}")
    unknown = values.keys() - {each.name for each in fields(kind)}
    if unknown:
        raise FaultError(f"{kind.__name__} has no {', '.join(map(str, sorted(unknown, key=str)))}")
    return kind(**values)


def plan_of(document: object, name: str = "faults") -> Plan:
    """The plan that a document describes.

    Args:
        document: A mapping with ``seed`` and a list of faults.
        name: The key of that list.

    Raises:
        FaultError: It describes none.
    """
    if not isinstance(document, Mapping) or not document.keys() <= {"seed", name}:
        raise FaultError(f"expected an object with seed and {name}, and nothing else")
    seed, entries = document.get("seed", DEFAULT_SEED), document.get(name, [])
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultError("seed must be of type int")
    if not isinstance(entries, list):
        raise FaultError(f"{name} must be a list")
    return Plan(tuple(map(from_json, entries)), seed)


def read_file(path: Path) -> Plan:
    """The plan in a TOML file.

    Raises:
        FaultError: There is no such file, or it holds something else.
    """
    try:
        return plan_of(tomllib.loads(path.read_text()), "fault")
    except (OSError, ValueError) as error:
        raise FaultError(f"{path}: {error}") from error
