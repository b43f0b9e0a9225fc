"""Where tasks go that ask for something: a capability's name chooses queue, definition and resources.

::

    [aws_hpc_worker_adapter.capabilities.gpu]
    job_queue = "gpu-queue"
    gpus = 1

What a table leaves out stays as it is for all tasks. ``share_identifier = ""`` is for a queue without shares, where all
other tasks go to one that has some.

The scheduler of release 2.9.0 sends a task's capabilities to the worker without their names: only how many there are
can be told. So each table has a worker id of its own, which alone announces its capability: what asks for ``gpu`` comes
by the link of that id. Where names do come, they decide, the first table in the file before the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.kinds import PRIORITY, SHARE, Kind, number, text, whole
from scaler_batch.adapter.sources import SECTION, TABLES, Given, suggestion
from scaler_batch.aws import JobShape

_MINUTES: Final = whole(1, 525600)

_SHARE_OR_NONE: Final = Kind(
    f"{SHARE.allowed}; or empty, for a queue without shares", lambda value: None if value == "" else SHARE.read(value)
)

_FIELDS: Final[Mapping[str, tuple[str, Kind]]] = {
    "job_queue": ("queue", text()),
    "job_definition": ("definition", text()),
    "vcpus": ("vcpus", number(0.25, "vCPUs")),
    "memory": ("memory", whole(4)),
    "gpus": ("gpus", whole(1)),
    "job_timeout_minutes": ("timeout", _MINUTES),
    "job_timeout": ("timeout", _MINUTES),
    "share_identifier": ("share", _SHARE_OR_NONE),
    "scheduling_priority": ("scheduling_priority", PRIORITY),
}
"""By key of a table, the field of the shape that it sets, and what it takes."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Which shape the job of a task has.

    Attributes:
        shapes: By name of a capability, in the order of the file.
    """

    shapes: Mapping[str, JobShape] = field(default_factory=dict)

    def shape_for(self, capabilities: Iterable[str], here: str | None = None) -> JobShape | None:
        """The shape that a task asks for; ``None`` for that of all tasks.

        Args:
            capabilities: What the task asks for, by name; an empty text is a name that was lost on the way.
            here: The table whose link the task came by; ``None`` for the link of all tasks.
        """
        wanted = set(capabilities)
        if wanted == {""} and here is not None:
            return self.shapes[here]
        return next((shape for name, shape in self.shapes.items() if name in wanted), None)

    @classmethod
    def read(cls, tables: Mapping[str, Any], standard: JobShape, file: str) -> Routes:
        """Read the tables of a TOML file.

        Args:
            tables: By name of a capability.
            standard: The shape of all other tasks.
            file: Where the tables stand.

        Raises:
            SettingsError: A table cannot be used.
        """
        return cls({name: replace(standard, **_changes(name, table, file)) for name, table in tables.items()})


def _changes(name: str, table: Any, file: str) -> dict[str, Any]:
    where = f"{file}, section [{SECTION}.{TABLES}.{name}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{TABLES}.{name} is {table!r} ({file}); allowed: a table of job_queue, gpus and others")
    return dict(_change(Given(value, key, where)) for key, value in table.items())


def _change(given: Given) -> tuple[str, Any]:
    if given.label not in _FIELDS:
        raise SettingsError(f"{given.place} has no option {given.label!r}{suggestion(given.label, _FIELDS)}")
    name, kind = _FIELDS[given.label]
    try:
        value = kind.read(given.value)
    except ValueError as error:
        raise SettingsError(given.wrong(kind.allowed)) from error
    return name, value * 60 if name == "timeout" else value
