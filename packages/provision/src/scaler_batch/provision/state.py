"""The JSON file: what has been made, written down after each step and before the next.

Names and tags are enough to find everything, so the file is a record and not the truth. What it alone knows is the
nonce: a random value that every resource bears as a tag. What does not bear it is neither changed nor removed, whatever
else its tags say. So a file that somebody else wrote gives power over nothing.

It is read strictly all the same. A name, an ARN or a type that this package would not have written means that somebody
else wrote it, and then nothing in it counts.

The format, version 2 (version 1 had no nonce; see :mod:`~scaler_batch.provision.adopting`)::

    {
      "version": 2,
      "written_by": "scaler-batch-provision 0.1.0",
      "prefix": "scaler-batch", "region": "us-east-1",
      "account": "123456789012", "partition": "aws",
      "nonce": "5f0c…",                     32 hexadecimal digits
      "settings": {"image": "…", "vcpus": 1, …},
      "complete": true,                     every resource is made and ready
      "unfinished": ["bucket"],             what was being made, changed or removed
      "resources": {"bucket": {"name": "…", "arn": "…"}, …}
    }
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scaler_batch.provision import atomic
from scaler_batch.provision.errors import ConflictError, FileError, SettingsError
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.release import VERSION
from scaler_batch.provision.settings import Target
from scaler_batch.provision.vocabulary import Identity, Kind, Owner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler_batch.provision.settings import Settings

FORMAT_VERSION: Final = 2
WITHOUT_NONCE: Final = 1
"""The version of the format that had none."""

MOST_BYTES: Final = 1 << 20
"""Of the file, which has some ten thousand."""

_FIELDS: Final = frozenset(
    {
        "version",
        "written_by",
        "prefix",
        "region",
        "account",
        "partition",
        "nonce",
        "settings",
        "complete",
        "unfinished",
        "resources",
    }
)
NONCE: Final = re.compile(r"[0-9a-f]{32}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_PARTITION: Final = re.compile(r"aws(-[a-z]+)*")

ValueT = TypeVar("ValueT")


class OldRecordError(FileError):
    """The file is of an earlier release, which gave resources no nonce.

    Attributes:
        names: Which resources it is about. Nothing else in it is believed.
    """

    def __init__(self, path: Path, names: Names) -> None:
        super().__init__(
            f"{path} is of an earlier release, which gave resources no nonce to know them by",
            fix="run `scaler-batch-provision adopt` with the same --prefix and --region: it lists what is there, asks, "
            "and marks it",
        )
        self.names = names


def new_nonce() -> str:
    """A value that nobody can guess and no other set of resources bears."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class State:
    """What the file says.

    Attributes:
        target: Which set of resources it is about.
        account: Whose they are.
        nonce: What they bear as a tag, and nothing else does.
        settings: What was asked for, as plain values; for people.
        complete: Whether every resource was made and ready when it was written.
        unfinished: What was being made, changed or removed when it was written.
        resources: What is made.
    """

    target: Target
    account: Account
    nonce: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    unfinished: frozenset[Kind] = frozenset()
    resources: Mapping[Kind, Identity] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        """Which resources it is about."""
        return Names(self.target, self.account)

    @property
    def owner(self) -> Owner:
        """Whose the resources are that this is about."""
        return Owner(self.target.prefix, self.nonce)

    def to_json(self) -> str:
        """The text of the file."""
        document = {
            "version": FORMAT_VERSION,
            "written_by": f"scaler-batch-provision {VERSION}",
            "prefix": self.target.prefix,
            "region": self.target.region,
            "account": self.account.number,
            "partition": self.account.partition,
            "nonce": self.nonce,
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
            ValueError: It is not what this package would have written, or of another version.
        """
        try:
            return cls._from_document(_parse(text))
        except (ValueError, RecursionError, SettingsError) as error:
            raise ValueError(f"not a record of resources ({error})") from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> State:
        if document.keys() != _FIELDS:
            raise ValueError(f"unknown or missing: {', '.join(sorted(document.keys() ^ _FIELDS))}")
        names = _names(document)
        _of_type(document, "written_by", str)
        unfinished = _of_type(document, "unfinished", list)
        if len(set(map(str, unfinished))) < len(unfinished):
            raise ValueError("the same is unfinished twice")
        return cls(
            target=names.target,
            account=names.account,
            nonce=_matching(document, "nonce", NONCE),
            settings=_of_type(document, "settings", dict),
            complete=_of_type(document, "complete", bool),
            unfinished=frozenset(map(_kind, unfinished)),
            resources={
                _kind(kind): _identity(_kind(kind), one, names)
                for kind, one in _of_type(document, "resources", dict).items()
            },
        )


def _parse(text: str) -> dict[str, Any]:
    """Read JSON whose outermost value is an object of a version that is known, without names that stand twice."""
    document = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_constant)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    version = document.get("version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ValueError(f"format version {version!r}, but this reads {FORMAT_VERSION}")
    return document


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _names(document: dict[str, Any]) -> Names:
    """Which resources a document is about."""
    target = Target(prefix=_of_type(document, "prefix", str), region=_of_type(document, "region", str))
    number, partition = _matching(document, "account", _ACCOUNT), _matching(document, "partition", _PARTITION)
    return Names(target, Account(number, partition))


def _of_type(document: dict[str, Any], name: str, expected: type[ValueT]) -> ValueT:
    value = document.get(name)
    if type(value) is not expected:
        raise ValueError(f"{name} is not of type {expected.__name__}")
    return value


def _matching(document: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = _of_type(document, name, str)
    if not pattern.fullmatch(value):
        raise ValueError(f"{name} is {value[:80]!r}")
    return value


def _kind(value: Any) -> Kind:
    if not isinstance(value, str):
        raise ValueError("the kind of a resource is not of type str")
    return Kind(value)


def _identity(kind: Kind, one: Any, names: Names) -> Identity:
    """Which resource a document names; one of another name, account or region was not made for this prefix."""
    if not isinstance(one, dict) or one.keys() != {"name", "arn"}:
        raise ValueError(f"{kind.words} is not an object of name and arn")
    identity = Identity(name=_of_type(one, "name", str), arn=_of_type(one, "arn", str))
    if identity.name != names.of(kind) or not names.may_be(kind, identity.arn):
        raise ValueError(f"no {kind.words} of this prefix, account and region: {identity.name[:80]!r}")
    return identity


def load(path: Path) -> State | None:
    """Read the file; ``None`` when there is none.

    Raises:
        OldRecordError: It is of version 1.
        FileError: It cannot be read or understood.
    """
    text = atomic.read_record(path, most_bytes=MOST_BYTES)
    if text is None:
        return None
    if names := _version_1_names(text):
        raise OldRecordError(path, names)
    try:
        return State.from_json(text)
    except ValueError as error:
        raise FileError(
            f"cannot understand {path}: {error}",
            fix="move the file away; then look with `scaler-batch-provision show` at what is there, and take over what "
            "is yours with `scaler-batch-provision adopt`",
        ) from error


def _version_1_names(text: str) -> Names | None:
    """Tell which resources a file of version 1 is about, and believe nothing else in it. ``None`` for other texts."""
    try:
        document = json.loads(text)
        ours = isinstance(document, dict) and document.get("version") == WITHOUT_NONCE
        return _names(document) if ours else None
    except (ValueError, RecursionError, SettingsError):
        return None


def check_about(path: Path, found: Names, names: Names) -> None:
    """See that a file is about these resources.

    Raises:
        ConflictError: It is about others.
    """
    if found != names:
        raise ConflictError(
            f"{path} records prefix {found.target.prefix!r} in {found.target.region} of account "
            f"{found.account.number}, not what was asked for",
            fix="pass --config and --env-file with other names, or clean up that prefix first",
        )


class Journal:
    """Sole owner of the file while a command runs. Without a path it remembers and writes nothing."""

    def __init__(self, path: Path | None, state: State) -> None:
        self._path = path
        self._state = state

    @classmethod
    def open(cls, path: Path | None, names: Names, nonce: str | None = None) -> Journal:
        """Go on from the file if there is one; write nothing yet.

        Args:
            path: The file; ``None`` for none.
            names: Which resources it must be about.
            nonce: That of the resources, where the caller has kept it; otherwise a new one, which nothing bears yet.

        Raises:
            ConflictError: The file is about other resources.
            FileError: It cannot be read or understood.
            SettingsError: The nonce cannot be one.
        """
        if nonce is not None and not NONCE.fullmatch(nonce):
            raise SettingsError(f"{nonce!r} is not a nonce", fix="pass the `nonce` of what `provision` returned")
        found = load(path) if path else None
        if path and found:
            check_about(path, found.names, names)
        if found and nonce not in (None, found.nonce):
            raise ConflictError(f"{path} records another nonce than that given", fix="pass one of the two, not both")
        return cls(path, found or State(names.target, names.account, nonce or new_nonce()))

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
        """Record that a resource is made, changed, taken over or found as wanted."""
        resources = {**self._state.resources, kind: identity}
        self._write(replace(self._state, unfinished=self._state.unfinished - {kind}, resources=resources))

    def removed(self, kind: Kind) -> None:
        """Record that a resource is gone."""
        left = {other: identity for other, identity in self._state.resources.items() if other is not kind}
        self._write(replace(self._state, unfinished=self._state.unfinished - {kind}, resources=left))

    def finish(self) -> None:
        """Record that all is made and ready."""
        self._write(replace(self._state, complete=True))

    def write(self) -> None:
        """Write the file also if nothing has changed: where it is not there yet, or of version 1."""
        if self._path:
            atomic.write_text(self._path, self._state.to_json())

    def _write(self, state: State) -> None:
        changed, self._state = state != self._state, state
        if changed:
            self.write()


def _plain(settings: Settings) -> dict[str, Any]:
    """The settings as JSON gives them back, so that the same ones are found equal."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return plain
