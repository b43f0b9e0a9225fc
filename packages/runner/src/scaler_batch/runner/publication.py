"""Outcomes into the store, once.

A job may have a second attempt, and a request may be retried whose first try had worked after all. The first answer
stands: outcomes are written only where none lie, and finding some is as good as writing them.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import BinaryIO

from scaler_batch.payload import BlockingStore, Outcome, encode_outcomes
from scaler_batch.payload.errors import AlreadyStoredError
from scaler_batch.payload.keys import outcome_key
from scaler_batch.runner import log, storage
from scaler_batch.runner.request import Request


def publish(request: Request, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes of this job's bundle, unless an earlier attempt has.

    SIGTERM does not stop it: the time until SIGKILL is for this.

    Raises:
        StoreFailedError: The store failed.
    """
    key = outcome_key(request.sequence, request.array_index)

    def put(store: BlockingStore, _: BinaryIO) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            store.put_once(key, encode_outcomes(outcomes, request.origin))
        except AlreadyStoredError:
            log.line("already_published", key=key)

    storage.answer(storage.begin(request.run, put).wait())
