"""The sole owner of object keys: where a run, its inputs and its outcomes lie.

A run is one life of one task manager. Everything it writes lies under one prefix of its own, so that one listing finds
its outcomes and one bulk removal leaves nothing behind::

    <prefix>/<run id>/packs/<sequence>
    <prefix>/<run id>/outcomes/<sequence>            of a single job
    <prefix>/<run id>/outcomes/<sequence>.<index>    of a child of an array
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from scaler_batch.payload.errors import ContractError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_NUMBER = "0|[1-9][0-9]{0,18}"
_REGION = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class RunLocation:
    """The address of one run's objects.

    Attributes:
        bucket: Name of the S3 bucket.
        prefix: Key prefix that all runs share, without slashes at its ends; may be empty.
        run_id: 1 to 64 letters, digits, ``-`` and ``_``; part of job names too, hence AWS Batch's alphabet.
        region: Region of the bucket. Travels with the address because AWS Batch tells a container no region.
    """

    bucket: str
    prefix: str
    run_id: str
    region: str

    def __post_init__(self) -> None:
        """Refuse what could not be written as an address and read back the same."""
        if not _RUN_ID.fullmatch(self.run_id):
            raise ContractError(f"run id {self.run_id!r} is not 1 to 64 letters, digits, '-' and '_'")
        if not _BUCKET.fullmatch(self.bucket):
            raise ContractError(f"{self.bucket!r} is not the name of a bucket")
        if not _REGION.fullmatch(self.region):
            raise ContractError(f"{self.region!r} is not the name of a region")
        # Empty segments and dots are legal keys of S3, but clients disagree on what they mean.
        if self.prefix and not all(_is_segment(segment) for segment in self.prefix.split("/")):
            raise ContractError(
                f"key prefix {self.prefix!r} is not of the form a/b/c: printable, no slash at its ends, "
                "nothing between slashes that is empty, '.' or '..'"
            )

    @property
    def root(self) -> str:
        """Key prefix of everything this run writes, without a slash at its end."""
        return f"{self.prefix}/{self.run_id}" if self.prefix else self.run_id

    def __str__(self) -> str:
        """The address as it travels in a job parameter."""
        return f"s3://{self.bucket}/{quote(self.root)}?{urlencode({'region': self.region})}"

    @classmethod
    def parse(cls, address: str) -> Self:
        """Read an address that :meth:`__str__` wrote.

        Raises:
            ContractError: It is none.
        """
        try:
            parts = urlsplit(address)
            region = parse_qs(parts.query, strict_parsing=True, max_num_fields=1).get("region", [""])[0]
        except ValueError as error:
            raise ContractError(f"{address!r} is not the address of a run: {error}") from error
        prefix, _, run_id = unquote(parts.path).lstrip("/").rpartition("/")
        if parts.scheme != "s3" or not region:
            raise ContractError(f"{address!r} is not the address of a run: expected s3://bucket/prefix/run?region=…")
        return cls(bucket=parts.netloc, prefix=prefix, run_id=run_id, region=region)


PACKS: Final = "packs"
"""Where all packs of a run lie, relative to the run."""

OUTCOMES: Final = "outcomes"
"""Where all outcomes of a run lie, relative to the run: the prefix that the task manager lists."""


def _is_segment(text: str) -> bool:
    return text.isprintable() and text not in ("", ".", "..")


def pack_key(sequence: int) -> str:
    """Where the pack of a submission lies, relative to its run."""
    return f"{PACKS}/{sequence}"


def outcome_key(sequence: int, index: int | None) -> str:
    """Where a job puts the outcomes of its bundle, relative to its run.

    Args:
        sequence: Number of the submission within the run.
        index: Place of the child in its array; ``None`` for a single job.
    """
    return f"{OUTCOMES}/{sequence}" if index is None else f"{OUTCOMES}/{sequence}.{index}"


def parse_outcome_key(key: str) -> tuple[int, int | None]:
    """Tell which job an outcome belongs to; the inverse of :func:`outcome_key`.

    Raises:
        ContractError: The key is not that of an outcome.
    """
    match = re.fullmatch(rf"{OUTCOMES}/({_NUMBER})(?:\.({_NUMBER}))?", key)
    if match is None:
        raise ContractError(f"{key!r} is not the key of an outcome")
    sequence, index = match.groups()
    return int(sequence), None if index is None else int(index)
