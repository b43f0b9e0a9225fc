"""Listings by boto3, for when keys lie in the bucket that obstore cannot read.

Whoever may write to the bucket may write keys such as ``outcomes//x`` or ``outcomes/../x``. obstore fails a listing
that holds one, and so hides all others. boto3 reads every key; it is slower, so it is asked only then. What cannot be
read is removed: it is of no use to anybody, and the next listing is quick again.

boto3 is not imported here: the caller's session has it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from scaler_batch.payload.addresses import ca_bundle, endpoint_by_hand
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import is_readable
from scaler_batch.payload.store import ObjectInfo

if TYPE_CHECKING:
    import boto3

    from scaler_batch.payload.keys import RunLocation

logger = logging.getLogger(__name__)

_BULK: Final = 1000
"""Keys that one request removes at most."""

_SINGLES: Final = 100
"""Keys that are removed one by one after a listing at most: those that no XML can carry."""

_T = TypeVar("_T")


class Listing(NamedTuple):
    """What lies below a prefix.

    Attributes:
        objects: What has a key that can be read, by that key, relative to the run.
        passed_over: How many have not.
    """

    objects: dict[str, ObjectInfo]
    passed_over: int


class Boto3Listing:
    """Lists the objects of a run by boto3.

    Args:
        session: Whose credentials and configuration are used.
        run: Whose objects.
        environment: Where S3's address and the certificates to trust are looked up.
        endpoint: The ``endpoint_url`` of the profile in use.
    """

    def __init__(
        self,
        session: boto3.Session,
        run: RunLocation,
        *,
        environment: Mapping[str, str] = os.environ,
        endpoint: str | None = None,
    ) -> None:
        self._session = session
        self._run = run
        self._told = False
        named = ca_bundle(environment)
        self._settings: dict[str, Any] = {
            "region_name": run.region,
            "endpoint_url": endpoint_by_hand(environment, endpoint),
            "verify": named[1] if named else None,
        }

    async def sweep(self, prefix: str) -> Listing:
        """List what lies below ``prefix``, and remove what cannot be read, if that is allowed.

        Raises:
            StoreError: It failed.
        """
        try:
            return await _beside(lambda: self._swept(prefix))
        except Exception as error:
            raise StoreError(f"{prefix!r} could not be listed by boto3: {error}", key=prefix, retryable=True) from error

    def _swept(self, prefix: str) -> Listing:
        client = self._session.client("s3", **self._settings)
        found = self._found(client, f"{self._run.root}/{prefix}/")
        unreadable = [key for key in found if not is_readable(key)]
        self._remove(client, unreadable)
        start = len(self._run.root) + 1
        if unreadable and not self._told:
            self._told = True
            text = "%d objects below %r have keys that cannot be read: they are passed over, and removed where allowed"
            logger.warning(text, len(unreadable), prefix)
        return Listing({key[start:]: info for key, info in found.items() if is_readable(key)}, len(unreadable))

    def _found(self, client: Any, prefix: str) -> dict[str, ObjectInfo]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._run.bucket, Prefix=prefix)
        entries = (entry for page in pages for entry in page.get("Contents", ()))
        return {each["Key"]: ObjectInfo(each["LastModified"].timestamp(), each["Size"]) for each in entries}

    def _remove(self, client: Any, keys: Sequence[str]) -> None:
        plain = [key for key in keys if key.isprintable()]
        others = [key for key in keys if not key.isprintable()]
        # Whoever may not remove them passes over them every time.
        with contextlib.suppress(Exception):
            for start in range(0, len(plain), _BULK):
                objects = [{"Key": key} for key in plain[start : start + _BULK]]
                client.delete_objects(Bucket=self._run.bucket, Delete={"Objects": objects, "Quiet": True})
            for key in others[:_SINGLES]:
                client.delete_object(Bucket=self._run.bucket, Key=key)


async def _beside(action: Callable[[], _T]) -> _T:
    """Run something that blocks. Whoever is cancelled does not wait for it, and neither does the end of the process."""
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def work() -> None:
        result, failure = None, None
        try:
            result = action()
        except Exception as error:
            failure = error
        # The loop may be closed meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name="boto3-listing", daemon=True).start()
    return await future
