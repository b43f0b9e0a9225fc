"""The calls of this job, from the command line or from the store; and which of them an earlier attempt has answered."""

from __future__ import annotations

import functools
import struct
from typing import BinaryIO, Final, NamedTuple

from scaler_batch.payload import (
    BlockingStore,
    Bundle,
    Call,
    PayloadError,
    Stored,
    decode_bundle,
    decode_object,
    decode_outcomes,
    fetch_bundle,
    locate,
)
from scaler_batch.payload.bundles import references
from scaler_batch.payload.errors import ContractError, NotStoredError, StoreError, UnlistableError
from scaler_batch.payload.hashing import check_digest
from scaler_batch.payload.keys import outcome_folder, pack_key, parse_outcome_key
from scaler_batch.payload.pack import body_of, read_bundle
from scaler_batch.runner import log
from scaler_batch.runner.errors import PackError, TerminatedError
from scaler_batch.runner.request import Request
from scaler_batch.runner.storage import answer, speaking_to
from scaler_batch.runner.supervision import Supervisor


class Loaded(NamedTuple):
    """What there is to do.

    Attributes:
        bundle: The calls of this job.
        answered: Positions of those that an earlier attempt has answered.
    """

    bundle: Bundle
    answered: frozenset[int] = frozenset()

    @property
    def unanswered(self) -> list[tuple[int, Call]]:
        """The calls that are to be run, with their positions."""
        return [(position, call) for position, call in enumerate(self.bundle.calls) if position not in self.answered]


def load(request: Request, supervisor: Supervisor) -> Loaded:
    """Return the calls that this job has to run. Nothing is unpickled, and nothing believed that nobody vouches for.

    Raises:
        PackError: The pack is damaged, of another version, or without this child's bundle.
        PackMissingError: The pack, or an object that it refers to, is not in the store.
        InputAlteredError: It is not what the task manager has put there.
        StoreFailedError: The store failed.
        TerminatedError: SIGTERM came meanwhile.
    """
    try:
        pack = locate(request.pack)
        if isinstance(pack, Stored) or request.origin.attempt > 1:
            return _from_store(request, supervisor)
        bundle = decode_bundle(pack, request.bundle_index)
        return _from_store(request, supervisor) if references(bundle.calls) else Loaded(bundle)
    except PayloadError as error:
        raise PackError(str(error)) from error


def _from_store(request: Request, supervisor: Supervisor) -> Loaded:
    child = supervisor.start(speaking_to(request.run, functools.partial(_fetch, request)))
    ended = supervisor.wait_for(child)
    if supervisor.terminated:
        raise TerminatedError("SIGTERM came before the calls were fetched; the job may run again")
    return _read(answer(ended))


# What the child hands over: the answered positions, then the body of a pack of one bundle with everything in it.

_COUNT: Final = struct.Struct("<I")


def _fetch(request: Request, store: BlockingStore, stream: BinaryIO) -> None:
    bundle = _bundle(request, store)
    fetched = {each: decode_object(store.get(each.key), each) for each in references(bundle.calls)}
    whole = bundle.resolved(fetched)
    answered = _answered(request, len(bundle.calls), store) if request.origin.attempt > 1 else set()
    stream.write(_COUNT.pack(len(answered)) + b"".join(map(_COUNT.pack, sorted(answered))))
    stream.writelines(body_of([whole.calls], client=whole.client, processes=whole.processes))


def _bundle(request: Request, store: BlockingStore) -> Bundle:
    pack = locate(request.pack)
    if not isinstance(pack, Stored):
        return decode_bundle(pack, request.bundle_index)
    key = pack_key(request.sequence)
    if pack.table:
        read = functools.partial(store.get_ranges, key)
        return fetch_bundle(read, pack.table, pack.digest, request.bundle_index)
    found = store.get(key)
    check_digest(found, pack.digest, key)
    return decode_bundle(found, request.bundle_index)


def _answered(request: Request, calls: int, store: BlockingStore) -> set[int]:
    """Positions that an earlier attempt has answered. Others may write here too: what is not signed answers nothing."""
    found = (_positions(request, key, calls, store) for key in _published(request, calls, store))
    return {position for positions in found for position in positions}


def _published(request: Request, calls: int, store: BlockingStore) -> list[str]:
    """Where an earlier attempt may have put outcomes."""
    try:
        found = store.list(outcome_folder(request.sequence, request.array_index))
    except UnlistableError:
        return [request.seal.outcome_key(first) for first in range(calls)]
    return sorted(key for key in found if _is_own(request, key, calls))


def _is_own(request: Request, key: str, calls: int) -> bool:
    try:
        found = parse_outcome_key(key)
    except ContractError:
        return False
    return found.first is not None and found.first < calls and request.seal.owns(found)


def _positions(request: Request, key: str, calls: int, store: BlockingStore) -> list[int]:
    try:
        envelope = request.seal.open(key, store.get(key))
        return [outcome.position for outcome in decode_outcomes(envelope, positions=calls)[0]]
    except NotStoredError:
        return []
    except StoreError:
        raise
    except PayloadError as error:
        log.line("unreadable_outcomes", key=key, error=type(error).__name__)
        return []


def _read(handed_over: memoryview) -> Loaded:
    (count,) = _COUNT.unpack_from(handed_over)
    answered, body = handed_over[_COUNT.size : (count + 1) * _COUNT.size], handed_over[(count + 1) * _COUNT.size :]
    return Loaded(read_bundle(body, 0), frozenset(position for (position,) in _COUNT.iter_unpack(answered)))
