"""The sole owner of object keys: where a run, its inputs and its outcomes lie.

A run is one life of one task manager. Everything it writes lies under one prefix of its own, so that one listing finds
its outcomes and one bulk removal leaves nothing behind::

    <prefix>/<run id>/packs/<sequence>
    <prefix>/<run id>/objects/<SHA-256>.<sequence>
    <prefix>/<run id>/outcomes/<sequence>/<first>.<name>            of a single job
    <prefix>/<run id>/outcomes/<sequence>.<index>/<first>.<name>    of a child of an array
    <prefix>/<run id>/outcomes/<…>/interrupted.<attempt>.<name>     of either, when it was told to stop

``<first>`` is the position of the first call that the object answers: a job publishes while it runs. ``<name>`` is what
only the job and its task manager can tell (:class:`~.seals.JobSeal`); in the place of ``<first>`` stands
``<first>-<place>`` where the first place was taken by something else.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from scaler_batch.payload.errors import ContractError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_NUMBER = "0|[1-9][0-9]{0,18}"
_REGION = re.compile(r"[A-Za-z0-9-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")
_ADDRESS = re.compile(r"s3://([^/?#]*)/([^?#]*)\?region=([^&#]*)")

LONGEST_ADDRESS: Final = 230
"""Characters of a run's address at most. It travels beside the pack, and the two share what AWS leaves them
(:data:`~.placement.OVERRIDES_RESERVE`)."""


class _Parts(NamedTuple):
    bucket: str
    prefix: str
    run_id: str
    region: str


class RunLocation(_Parts):
    """The address of one run's objects.

    Attributes:
        bucket: Name of the S3 bucket.
        prefix: Key prefix that all runs share, without slashes at its ends; may be empty.
        run_id: 1 to 64 letters, digits, ``-`` and ``_``; part of job names too, hence AWS Batch's alphabet.
        region: Region of the bucket. Travels with the address because AWS Batch tells a container no region.
    """

    __slots__ = ()

    def __new__(cls, bucket: str, prefix: str, run_id: str, region: str) -> Self:
        """Refuse what could not be written as an address and read back the same."""
        if not _RUN_ID.fullmatch(run_id):
            raise ContractError(f"run id {run_id!r} is not 1 to 64 letters, digits, '-' and '_'")
        if not _BUCKET.fullmatch(bucket):
            raise ContractError(f"{bucket!r} is not the name of a bucket")
        if not _REGION.fullmatch(region):
            raise ContractError(f"{region!r} is not the name of a region")
        # Empty segments and dots are legal keys of S3, but clients disagree on what they mean.
        if prefix and not is_readable(prefix):
            raise ContractError(
                f"key prefix {prefix!r} is not of the form a/b/c: printable, no slash at its ends, "
                "nothing between slashes that is empty, '.' or '..'"
            )
        run = super().__new__(cls, bucket, prefix, run_id, region)
        if len(str(run)) > LONGEST_ADDRESS:
            raise ContractError(f"{run} has more than {LONGEST_ADDRESS} characters: take a shorter key prefix")
        return run

    @property
    def root(self) -> str:
        """Key prefix of everything this run writes, without a slash at its end."""
        return f"{self.prefix}/{self.run_id}" if self.prefix else self.run_id

    def __str__(self) -> str:
        """The address as it travels in a job parameter."""
        return f"s3://{self.bucket}/{_quoted(self.root)}?region={self.region}"

    @classmethod
    def parse(cls, address: str) -> Self:
        """Read an address that :meth:`__str__` wrote.

        Raises:
            ContractError: It is none.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ContractError(f"{address!r} is not the address of a run: expected s3://bucket/prefix/run?region=…")
        bucket, root, region = match.groups()
        prefix, _, run_id = _unquoted(root).rpartition("/")
        return cls(bucket, prefix, run_id, region)


# urllib is imported where it is needed, which is hardly ever: the runner has to be quick to start.


def _quoted(path: str) -> str:
    if _PLAIN.fullmatch(path):
        return path
    from urllib.parse import quote

    return quote(path)


def _unquoted(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    return unquote(path)


PACKS: Final = "packs"
"""Where all packs of a run lie, relative to the run."""

OBJECTS: Final = "objects"
"""Where all large objects of a run lie, relative to the run."""

OUTCOMES: Final = "outcomes"
"""Where all outcomes of a run lie, relative to the run: the prefix that the task manager lists."""

_INTERRUPTED: Final = "interrupted"

_OUTCOME: Final = (
    rf"{OUTCOMES}/({_NUMBER})(?:\.({_NUMBER}))?/"
    rf"(?:({_NUMBER})(?:-([1-9]))?|{_INTERRUPTED}\.({_NUMBER}))\.([0-9a-f]{{32}})"
)
"""Not compiled before it is used, which most runners never do: they have to be quick to start."""

PLACES: Final = 10
"""How many places there are for one object of outcomes, of which all but the first are for when that is taken."""


class OutcomeKey(NamedTuple):
    """What the key of an outcome says.

    Attributes:
        sequence: Number of the submission within the run.
        child: Place of the job in its array; ``None`` for a single job.
        first: Position of the first call that is answered there; ``None`` where an attempt only says that it was
            interrupted.
        place: Which of the places for this object, from 0; the number of the attempt where one was interrupted.
        name: What only the job can tell: 32 hex digits.
    """

    sequence: int
    child: int | None
    first: int | None
    place: int
    name: str


def is_readable(key: str) -> bool:
    """Whether every client of S3 reads this key as it stands: nothing between slashes is empty, dots or unprintable."""
    return all(map(_is_segment, key.split("/")))


def _is_segment(text: str) -> bool:
    return text.isprintable() and text not in ("", ".", "..")


def pack_key(sequence: int) -> str:
    """Where the pack of a submission lies, relative to its run."""
    return f"{PACKS}/{sequence}"


def object_key(digest: str, sequence: int) -> str:
    """Where a large object lies, relative to its run.

    Args:
        digest: What the object is known by (:func:`.hashing.digest`).
        sequence: Number of the submission that was the first to need it. An object that was removed and is needed
            again gets another key, so that removing it and storing it cannot meet.
    """
    return f"{OBJECTS}/{digest}.{sequence}"


def check_object_key(key: str) -> str:
    """Return the key of a large object.

    Raises:
        ContractError: It is none.
    """
    if not re.fullmatch(rf"{OBJECTS}/[0-9a-f]{{64}}\.({_NUMBER})", key):
        raise ContractError(f"{key!r} is not the key of an object")
    return key


def digest_in(key: str) -> str:
    """The SHA-256 that the key of a large object says it has.

    Raises:
        ContractError: It is not the key of an object.
    """
    return check_object_key(key)[len(OBJECTS) + 1 :].partition(".")[0]


def outcome_folder(sequence: int, index: int | None) -> str:
    """Where a job puts what came of its bundle, relative to its run.

    Args:
        sequence: Number of the submission within the run.
        index: Place of the child in its array; ``None`` for a single job.
    """
    return f"{OUTCOMES}/{sequence}" if index is None else f"{OUTCOMES}/{sequence}.{index}"


def outcome_key(sequence: int, index: int | None, first: int, name: str, place: int = 0) -> str:
    """Where a job puts one object of outcomes, relative to its run; see :class:`OutcomeKey`.

    The position of the first call that is answered there makes the key: two attempts of a job cannot both answer it.
    """
    elsewhere = f"-{place}" if place else ""
    return f"{outcome_folder(sequence, index)}/{first}{elsewhere}.{name}"


def interruption_key(sequence: int, index: int | None, attempt: int, name: str) -> str:
    """Where an attempt says that it was interrupted. No outcome: another attempt may answer."""
    return f"{outcome_folder(sequence, index)}/{_INTERRUPTED}.{attempt}.{name}"


def parse_outcome_key(key: str) -> OutcomeKey:
    """Tell which job an object belongs to; the inverse of :func:`outcome_key` and :func:`interruption_key`.

    Raises:
        ContractError: The key is not that of an outcome.
    """
    match = re.fullmatch(_OUTCOME, key)
    if match is None:
        raise ContractError(f"{key!r} is not the key of an outcome")
    sequence, child, first, place, attempt, name = match.groups()
    return OutcomeKey(int(sequence), _number(child), _number(first), int(place or attempt or 0), name)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
