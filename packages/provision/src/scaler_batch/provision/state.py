"""The JSON file: what has been made, written down after each step and before the next.

Names and tags alone are enough to find everything again, so the file is a record and not the truth. One thing it
knows alone: what was about to be made when a run was interrupted. Where a service takes no tags at creation, that is
what makes an untagged resource ours.

The format, version 1::

    {
      "version": 1,
      "written_by": "scaler-batch-provision 0.1.0",
      "prefix": "scaler-batch", "region": "us-east-1",
      "account": "123456789012", "partition": "aws",
      "settings": {"image": "…", "vcpus": 1, …},
      "complete": true,                     every resource is made and ready
      "unfinished": ["bucket"],             what was being made, changed or removed
      "resources": {"bucket": {"name": "…", "arn": "…"}, …}
    }
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision import atomic
from scaler_batch.provision.errors import ConflictError, FileError, SettingsError
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.release import VERSION
from scaler_batch.provision.settings import Target
from scaler_batch.provision.vocabulary import Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler_batch.provision.settings import Settings

FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """What the file says.

    Attributes:
        target: Which set of resources it is about.
        account: Whose they are.
        settings: What was asked for, as plain values; for people.
        complete: Whether every resource was made and ready when it was written.
        unfinished: What was being made, changed or removed when it was written.
        resources: What is made.
    """

    target: Target
    account: Account
    settings: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    unfinished: frozenset[Kind] = frozenset()
    resources: Mapping[Kind, Identity] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of the file."""
        document = {
            "version": FORMAT_VERSION,
            "written_by": f"scaler-batch-provision {VERSION}",
            "prefix": self.target.prefix,
            "region": self.target.region,
            "account": self.account.number,
            "partition": self.account.partition,
            "settings": dict(self.settings),
            "complete": self.complete,
            "unfinished": sorted(self.unfinished),
            "resources": {kind: asdict(identity) for kind, identity in self.resources.items()},
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> State:
        """Read the text of a file.

        Raises:
            ValueError: It is not such a text, or of another version.
        """
        try:
            return cls._from_document(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingsError) as error:
            raise ValueError(f"not a record of resources ({type(error).__name__}: {error})") from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> State:
        if document["version"] != FORMAT_VERSION:
            raise ValueError(f"format version {document['version']!r}, but this reads {FORMAT_VERSION}")
        return cls(
            target=Target(prefix=document["prefix"], region=document["region"]),
            account=Account(number=str(document["account"]), partition=str(document["partition"])),
            settings=dict(document["settings"]),
            complete=bool(document["complete"]),
            unfinished=frozenset(map(Kind, document["unfinished"])),
            resources={
                Kind(kind): Identity(name=str(one["name"]), arn=str(one["arn"]))
                for kind, one in document["resources"].items()
            },
        )


def load(path: Path) -> State | None:
    """Read the file; ``None`` when there is none.

    Raises:
        FileError: It cannot be read or understood.
    """
    text = atomic.read_text(path)
    try:
        return None if text is None else State.from_json(text)
    except ValueError as error:
        raise FileError(
            f"cannot understand {path}: {error}",
            fix="move the file away and run this again: resources are found by their names and tags",
        ) from error


class Journal:
    """Sole owner of the file while a command runs. Without a path it remembers and writes nothing."""

    def __init__(self, path: Path | None, state: State) -> None:
        self._path = path
        self._state = state

    @classmethod
    def open(cls, path: Path | None, names: Names) -> Journal:
        """Go on from the file if there is one; write nothing yet.

        Raises:
            ConflictError: The file is about other resources.
            FileError: It cannot be read or understood.
        """
        fresh = State(names.target, names.account)
        found = load(path) if path else None
        if found and (found.target, found.account) != (fresh.target, fresh.account):
            raise ConflictError(
                f"{path} records prefix {found.target.prefix!r} in {found.target.region} of account "
                f"{found.account.number}, not what was asked for",
                fix="pass --config and --env-file with other names, or clean up that prefix first",
            )
        return cls(path, found or fresh)

    @property
    def state(self) -> State:
        """What is recorded."""
        return self._state

    def start(self, settings: Settings, *, complete: bool) -> None:
        """Record what is asked for, before the first step, and whether all of it is there already."""
        self._write(replace(self._state, settings=_plain(settings), complete=complete))

    def begin(self, kind: Kind) -> None:
        """Record what is about to be made, changed or removed."""
        self._write(replace(self._state, unfinished=self._state.unfinished | {kind}, complete=False))

    def made(self, kind: Kind, identity: Identity) -> None:
        """Record that a resource is made, changed or found as wanted."""
        resources = {**self._state.resources, kind: identity}
        self._write(replace(self._state, unfinished=self._state.unfinished - {kind}, resources=resources))

    def removed(self, kind: Kind) -> None:
        """Record that a resource is gone."""
        left = {other: identity for other, identity in self._state.resources.items() if other is not kind}
        self._write(replace(self._state, unfinished=self._state.unfinished - {kind}, resources=left))

    def finish(self) -> None:
        """Record that all is made and ready."""
        self._write(replace(self._state, complete=True))

    def _write(self, state: State) -> None:
        if state != self._state and self._path:
            atomic.write_text(self._path, state.to_json())
        self._state = state


def _plain(settings: Settings) -> dict[str, Any]:
    """The settings as JSON gives them back, so that the same ones are found equal."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain
