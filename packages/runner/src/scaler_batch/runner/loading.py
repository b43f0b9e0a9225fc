"""The calls of this job, from the command line or from the store."""

from __future__ import annotations

from typing import BinaryIO

from scaler_batch.payload import BlockingStore, Call, PayloadError, decode_bundle, inline_pack
from scaler_batch.payload.contract import PACK_IN_STORE
from scaler_batch.payload.keys import pack_key
from scaler_batch.payload.sections import Buffer
from scaler_batch.runner import storage
from scaler_batch.runner.errors import PackError
from scaler_batch.runner.request import Request
from scaler_batch.runner.termination import Termination


def load_bundle(request: Request, termination: Termination) -> list[Call]:
    """Return the calls that this job has to run.

    Raises:
        PackError: The pack is damaged, of another version, or without this child's bundle.
        PackMissingError: The pack is not in the store.
        StoreFailedError: The store failed.
        TerminatedError: SIGTERM came meanwhile.
    """
    try:
        pack = _fetch(request, termination) if request.pack == PACK_IN_STORE else inline_pack(request.pack)
        return decode_bundle(pack, request.array_index or 0)
    except PayloadError as error:
        raise PackError(str(error)) from error


def _fetch(request: Request, termination: Termination) -> Buffer:
    key = pack_key(request.sequence)

    def get(store: BlockingStore, stream: BinaryIO) -> None:
        stream.write(store.get(key))

    ended = termination.await_end(storage.begin(request.run, get))
    termination.check()
    return storage.answer(ended)
