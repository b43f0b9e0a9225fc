"""The tries of a call to S3: which failure is followed by another, and when.

obstore tries again by itself what it takes for safe to be repeated. Here is what it leaves: a PUT that is written once
and whose answer was lost, two of them that have met, a removal, credentials that are about to be renewed.
"""

from __future__ import annotations

import time
from typing import Final

from scaler_batch.payload.errors import CredentialsError, StoreError
from scaler_batch.payload.refusals import is_panic, is_unrepeated, translate, was_repeated

GROWTH: Final = 3
"""Each wait is drawn between a tenth of a second and so many times the last one. With the library's own factor of 2 the
waits need not grow, and ten of them are often over within two seconds."""

_LONGEST_PAUSE: Final = 15.0
"""Seconds between two tries at most; the library's own value."""

_UNTIL_RENEWED: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0, 30.0, 30.0)
"""Seconds to wait for new credentials, try by try: three minutes in all, as for everything else, and the time for which
the library keeps those that it has been given."""


class Tries:
    """The tries of one call: what to do after each that failed.

    Args:
        key: What is asked for.
        region: Where the bucket is taken to lie.
        endpoint: Where S3 is.
        retries: How many more there may be.
        patience: Seconds after which none begins.
        waits: Whether to wait for any credentials, and not only for those that are about to be renewed.
    """

    def __init__(
        self, key: str, region: str, endpoint: str, retries: int, patience: float, *, waits: bool = False
    ) -> None:
        self._key = key
        self._region = region
        self._endpoint = endpoint
        self._left = retries
        self._until = time.monotonic() + patience
        self._waits = waits
        self._renewals = iter(_UNTIL_RENEWED[:retries])
        self._pause = 0.1
        self.lost_an_answer = False
        """Whether a try that failed may have had its effect."""
        self.refusal: StoreError | None = None
        """What the latest try that failed came to."""

    def pause_after(self, error: BaseException) -> float:
        """Return how many seconds to wait before the next try; raise what the error is where there is none."""
        if not isinstance(error, Exception) and not is_panic(error):
            raise error
        refusal = translate(error, self._key, self._region, self._endpoint)
        self.refusal = refusal
        self.lost_an_answer |= refusal.retryable or was_repeated(error)
        pause = self._pause_after(error, refusal)
        if pause is None or time.monotonic() + pause > self._until:
            raise refusal from error
        return pause

    def _pause_after(self, error: BaseException, refusal: StoreError) -> float | None:
        if isinstance(refusal, CredentialsError):
            return next(self._renewals, None) if refusal.expired or self._waits else None
        if not (refusal.retryable and is_unrepeated(error) and self._left):
            return None
        # Imported where it is needed: a runner whose requests go well does not wait for it.
        import random

        self._left -= 1
        self._pause = min(random.uniform(0.1, GROWTH * self._pause), _LONGEST_PAUSE)
        return self._pause
