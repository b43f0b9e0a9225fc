"""Keys, and what is signed with them: nobody believes what came of a job unless that job has signed it.

::

    key of the run, or payload key ──► key of a submission ──► key of a job ──► signatures, names

Each key is made from the one before it by HMAC-SHA256 over what it is for, so that none tells anything of another: not
the key of one job that of its neighbour, and none the key that it was made from. A worker makes the first by chance,
once a run, and passes the key of a submission on in the parameters of its jobs. With a *payload key*, which containers
are given otherwise, nothing secret stands there.

A signature covers all bytes of an object and the place where it lies, which names run, submission, job and call. So
what was signed for one place is worth nothing at another, and whoever checks a signature has read nothing yet. The
names of outcomes hold a part that only those who have the key can tell (:meth:`JobSeal.outcome_key`): nobody else can
take the place of an outcome beforehand, and what else is put beside them need not even be fetched.
"""

from __future__ import annotations

import base64
import struct
import sys
from collections.abc import Iterable
from typing import Final, Self

from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.errors import ContractError, UnsignedError
from scaler_batch.payload.hashing import sha256_for
from scaler_batch.payload.keys import OutcomeKey, RunLocation, interruption_key, outcome_key

KEY_SIZE: Final = 32
"""Bytes of a key, and of a signature."""

_BLOCK: Final = 64
"""Bytes of a block of SHA-256."""

_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
"""By what HMAC translates a key (RFC 2104)."""

_JOINED: Final = 16 * 1024
"""Bytes that are copied to be signed in one piece."""

_LENGTH: Final = struct.Struct("<I")

_DERIVE, _SIGN, _NAME = b"scaler-batch derive", b"scaler-batch sign", b"scaler-batch name"

_NAME_SIZE: Final = 16
"""Bytes of a name: too many to be guessed."""

_TEXT_SIZE: Final = 43
"""Characters of a key in base64 without padding."""

Fact = str | int | None
"""What a key or a signature may be bound to."""


class Seal:
    """A secret key. No text of it is ever shown but by :meth:`reveal`.

    Args:
        key: 32 bytes.

    Raises:
        ContractError: It has another size.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ContractError(f"a key of {len(key)} bytes, where {KEY_SIZE} are needed")
        self._key = bytes(key)

    @classmethod
    def new(cls) -> Self:
        """A key that nobody can guess."""
        import secrets

        return cls(secrets.token_bytes(KEY_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as :meth:`reveal` writes it.

        Raises:
            ContractError: It is none; the message does not repeat it.
        """
        try:
            if len(text) == _TEXT_SIZE:
                return cls(base64.b64decode(f"{text}=", validate=True))
        except ValueError:
            pass
        raise ContractError("this is not a key: 43 characters of base64 are needed")

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read a key of 64 hex digits, which is how people keep one; white space around it does not count.

        Raises:
            ContractError: It is none; the message does not repeat it.
        """
        digits = text.strip()
        try:
            if len(digits) == 2 * KEY_SIZE:
                return cls(bytes.fromhex(digits))
        except ValueError:
            pass
        raise ContractError(f"this is not a key: {2 * KEY_SIZE} hex digits are needed, as `openssl rand -hex 32` makes")

    def reveal(self) -> str:
        """The key as text, for the one who is to have it."""
        return base64.b64encode(self._key).decode("ascii").rstrip("=")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    @property
    def fingerprint(self) -> str:
        """By what two sides find out whether they have the same key; says nothing else of it."""
        return self._mac(_NAME, encode_facts("fingerprint")).hex()[:16]

    def derive(self, *facts: Fact) -> Seal:
        """The key for something: by it, nobody finds this one, nor that for something else."""
        return Seal(self._mac(_DERIVE, encode_facts(*facts)))

    def name(self, *facts: Fact) -> str:
        """A name for something, 32 hex digits, that only those who have the key can tell."""
        return self._mac(_NAME, encode_facts(*facts))[:_NAME_SIZE].hex()

    def sign(self, facts: Iterable[Fact], body: Pieces) -> bytes:
        """Return the signature of some bytes.

        Args:
            facts: What the bytes are for; they are nothing elsewhere.
            body: The bytes, in pieces.
        """
        return self._mac(_SIGN, encode_facts(*facts), body)

    def verify(self, facts: Iterable[Fact], body: Buffer, signature: Buffer) -> None:
        """Check a signature that :meth:`sign` made.

        Raises:
            UnsignedError: It was made with another key, for another purpose, or for other bytes.
        """
        # The runner seldom checks anything, and does not wait for this before it starts its calls.
        from hmac import compare_digest

        if not compare_digest(self.sign(facts, [body]), bytes(signature)):
            raise UnsignedError("not signed with the key of this job")

    def _mac(self, domain: bytes, context: bytes, body: Pieces = ()) -> bytes:
        """HMAC-SHA256. The standard library's cannot do without OpenSSL; where that is loaded, it is the fastest."""
        pieces = (_LENGTH.pack(len(domain)), domain, _LENGTH.pack(len(context)), context, *body)
        size = size_of(body)
        if size <= _JOINED and "_hashlib" in sys.modules:
            import hmac

            return hmac.digest(self._key, b"".join(pieces), "sha256")
        new = sha256_for(size)
        padded = self._key.ljust(_BLOCK, b"\0")
        inner, outer = new(), new()
        inner.update(padded.translate(_INNER))
        for piece in pieces:
            inner.update(piece)
        outer.update(padded.translate(_OUTER))
        outer.update(inner.digest())
        return bytes(outer.digest())


def encode_facts(*facts: Fact) -> bytes:
    """Write facts so that no two lists of them look alike: each its kind, its length, and itself."""
    written = []
    for fact in facts:
        text = ("n" if fact is None else f"i{fact:d}" if isinstance(fact, int) else f"s{fact}").encode()
        written += [_LENGTH.pack(len(text)), text]
    return b"".join(written)


class RunSeal:
    """The keys of a run.

    Args:
        run: Which.
        key: The run's own, or one that several runs share.
    """

    __slots__ = ("_key", "_run")

    def __init__(self, run: RunLocation, key: Seal) -> None:
        self._run = run
        self._key = key

    def submission(self, sequence: int) -> SubmissionSeal:
        """The keys of a submission."""
        run = str(self._run)
        return SubmissionSeal(run, sequence, self._key.derive("submission", run, sequence))


class SubmissionSeal:
    """The keys of a submission.

    Args:
        run: Address of the run that it belongs to.
        sequence: Its number within the run.
        key: Its own key.
    """

    __slots__ = ("_run", "_sequence", "key")

    def __init__(self, run: str, sequence: int, key: Seal) -> None:
        self._run = run
        self._sequence = sequence
        self.key = key

    def job(self, child: int | None) -> JobSeal:
        """What a job signs with.

        Args:
            child: Its place in its array; ``None`` for a single job.
        """
        return JobSeal(self._run, self._sequence, child, self.key.derive("job", child))


class JobSeal:
    """What a job signs with, and what its outcomes are called; made by :meth:`SubmissionSeal.job`."""

    __slots__ = ("_child", "_key", "_run", "_sequence")

    def __init__(self, run: str, sequence: int, child: int | None, key: Seal) -> None:
        self._run = run
        self._sequence = sequence
        self._child = child
        self._key = key

    def __repr__(self) -> str:
        return f"JobSeal({self._run}, {self._sequence}, {self._child})"

    def outcome_key(self, first: int = 0, place: int = 0) -> str:
        """Where the job puts one object of outcomes, relative to its run; see :class:`~.keys.OutcomeKey`."""
        return outcome_key(self._sequence, self._child, first, self._name(first, place), place)

    def interruption_key(self, attempt: int) -> str:
        """Where an attempt of the job says that it was interrupted."""
        return interruption_key(self._sequence, self._child, attempt, self._name(None, attempt))

    def owns(self, key: OutcomeKey) -> bool:
        """Whether the job itself has called an object so."""
        from hmac import compare_digest

        own = (self._sequence, self._child) == (key.sequence, key.child)
        return own and compare_digest(key.name, self._name(key.first, key.place))

    def sign(self, key: str, envelope: Pieces) -> Pieces:
        """Return an envelope with its signature behind it, for this place in the store only."""
        return [*envelope, self._key.sign(self._facts(key), envelope)]

    def open(self, key: str, signed: Buffer) -> memoryview:
        """Check the signature of what lies at a place, and return the envelope. Reads nothing else of it.

        Raises:
            UnsignedError: This job has not signed it for this place.
        """
        view = memoryview(signed)
        envelope, signature = view[:-KEY_SIZE], view[-KEY_SIZE:]
        self._key.verify(self._facts(key), envelope, signature)
        return envelope

    def _facts(self, key: str) -> tuple[Fact, ...]:
        return "object", self._run, self._sequence, self._child, key

    def _name(self, first: int | None, place: int) -> str:
        return self._key.name("outcome", first, place)
