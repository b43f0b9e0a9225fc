"""Runs in S3: the only importer of obstore.

obstore sends the requests, signs them, finds credentials (environment, container role, instance role) and retries what
may be retried, in native threads of its own. Nothing of it starts before the first request, so a process may import
this module and still fork; it must not fork after a request and use the store in the child. What only callers with an
event loop need (asyncio, threads, dates) is imported by them: a runner has to be quick to start.

What obstore does not try again, though it may work, is tried again here by the rules of :mod:`~.tries`. How its errors
are read stands in :mod:`~.refusals`, where S3 is in :mod:`~.addresses`.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import obstore
from obstore.store import S3Store as _Bucket

from scaler_batch.payload.addresses import ca_bundle, s3_endpoint
from scaler_batch.payload.buffers import size_of
from scaler_batch.payload.errors import (
    AlreadyStoredError,
    ContractError,
    CredentialsError,
    NotStoredError,
    StoreError,
    UnlistableError,
)
from scaler_batch.payload.tries import GROWTH, Tries

if TYPE_CHECKING:
    import asyncio

    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    from scaler_batch.payload.buffers import Buffer, Pieces
    from scaler_batch.payload.keys import RunLocation
    from scaler_batch.payload.listings import Boto3Listing
    from scaler_batch.payload.parts import Range
    from scaler_batch.payload.store import ObjectInfo

PATIENCE: Final = 180.0
"""Seconds after which a call begins no other try, unless told otherwise: what obstore takes by itself, and beyond S3's
usual spells of 503 Slow Down."""

_RETRIES: Final = 30
"""How often one request is tried again before it fails, within that time."""

_STALLED: Final = 60.0
"""Seconds without a byte of the answer after which a request has failed. It runs from the beginning of the request, so
what is sent counts too."""

_LARGE: Final = 8 * 1024**2
"""Bytes of a body that need not be sent before :data:`_STALLED` is over."""

_LONGEST: Final = "6h"
"""For one request with its body, where it is large."""

_SLOWEST: Final = 256 * 1024
"""Bytes a second that a line has at least. A call with an event loop ends after its patience and this time."""

_MINUTES_KEPT: Final = 8
"""How long the library may take credentials of boto3's for good. boto3 renews them ten minutes before they expire at
the latest, and the library asks anew five minutes before the end of this."""

_PARTING: Final = 1.0
"""How many seconds the end of a process waits for obstore's threads to leave Python."""

_LONGEST_PAUSE: Final = 15.0
"""Seconds between two tries of the library at most, which is its own value."""

_T = TypeVar("_T")


class _Run:
    """What both stores are made of: the bucket of a run, and how long a call goes on.

    There are two clients of the bucket, the second made when a large body is sent: one that gives up on silence would
    give up on that too.
    """

    def __init__(
        self,
        run: RunLocation,
        environment: Mapping[str, str],
        endpoint: str | None,
        credentials: Boto3CredentialProvider | None,
        retries: int,
        patience: float,
    ) -> None:
        self._location = run
        self._retries = retries
        self._options = _options(run, s3_endpoint(run.region, environment, endpoint))
        self._authority = _authority(environment, self._options["endpoint"])
        if credentials is not None:
            self._options["credential_provider"] = credentials
        self._limit(patience)

    def _limit(self, patience: float) -> None:
        self._patience = patience
        self._options = {**self._options, "retry_config": self._retry_config()}
        self.__dict__.pop("_patient_bucket", None)
        self._bucket = self._client(read_timeout=f"{max(1, round(min(_STALLED, patience / 3)))}s")

    def _retry_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"max_retries": self._retries, "backoff": {"base": GROWTH}}
        if self._patience != PATIENCE:
            from datetime import timedelta

            config["retry_timeout"] = timedelta(seconds=self._patience)
        return config

    def _client(self, **limits: str) -> _Bucket:
        plain = self._options["endpoint"].startswith("http://")
        # Without TLS there are no certificates to check, and reading the system's takes longer than a request.
        client: Any = {"allow_http": plain, "allow_invalid_certificates": plain, "timeout": _LONGEST, **limits}
        try:
            return _Bucket(self._location.bucket, client_options=client | self._authority, **self._options)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ContractError(f"S3 cannot be used as it is set up: {reason} - mend the AWS_ variables") from error

    @functools.cached_property
    def _patient_bucket(self) -> _Bucket:
        return self._client()

    def _bucket_for(self, size: int) -> _Bucket:
        return self._bucket if size <= _LARGE else self._patient_bucket

    def _tries(self, key: str, *, waits: bool = False) -> Tries:
        endpoint = self._options["endpoint"]
        return Tries(key, self._location.region, endpoint, self._retries, self._patience, waits=waits)


def _options(run: RunLocation, endpoint: str) -> dict[str, Any]:
    return {
        "prefix": run.root,
        "region": run.region,
        # The library reads variables of its own besides; what they could say otherwise is said here.
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": False,
        "s3_express": False,
        "skip_signature": False,
        "conditional_put": "etag",
        # Only for renewing, where S3 demands it. The library has no option for a header that it signs but this.
        "copy_if_not_exists": "header: x-amz-metadata-directive: REPLACE",
        # Hashing the body for the signature takes four times as long as sending it. TLS guards it on its way, and the
        # checksum in the envelope from end to end.
        "unsigned_payload": True,
    }


def _authority(environment: Mapping[str, str], endpoint: str) -> dict[str, bytes]:
    """The certificates that somebody has named; the library trusts them besides the system's."""
    named = ca_bundle(environment)
    if named is None or endpoint.startswith("http://"):
        return {}
    variable, path = named
    try:
        with open(path, "rb") as file:
            return {"root_certificate": file.read()}
    except OSError as error:
        raise ContractError(f"{variable} names {path!r}, which cannot be read: {error.strerror}") from error


@functools.cache
def _part_in_order() -> None:
    """Have this process wait for obstore's threads before it ends.

    They report answers to the event loop, and ask for credentials, in Python. One that is still there when the
    interpreter shuts down would be unwound through native code, which aborts the process; since 3.14 it is left alone.
    """
    if sys.version_info < (3, 14):
        atexit.register(_wait_for_native_threads)


def _wait_for_native_threads() -> None:
    import threading

    deadline = time.monotonic() + _PARTING
    while True:
        # Those that only want the interpreter for a moment, and are in no function of Python's, get it meanwhile.
        time.sleep(0.001)
        native = sys._current_frames().keys() - {thread.ident for thread in threading.enumerate()}
        if not native or time.monotonic() > deadline:
            return


def boto3_credentials(session: boto3.Session) -> Boto3CredentialProvider:
    """Let a store use the credentials of a boto3 session, which knows profiles, SSO and credential processes.

    Raises:
        CredentialsError: The session finds none.
    """
    # Imported here: only callers that have boto3 anyway come by.
    from datetime import timedelta

    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider(session, ttl=timedelta(minutes=_MINUTES_KEPT))
    except Exception as error:
        # The providers of a session fail in ways of their own each, and here is where they are first asked.
        raise CredentialsError(str(error), key="") from error


class S3RunStore(_Run):
    """The objects of one run in S3, for callers with an event loop.

    A call ends after ``patience`` seconds and the time that its body takes on a slow line (:data:`_SLOWEST`), whatever
    the network does. One that is cancelled ends at once, though what it has sent may still have its effect.

    Args:
        run: Whose objects.
        credentials: Where credentials come from; by default obstore's own chain. See
            :func:`boto3_credentials`.
        environment: Where S3's address and the certificates to trust are looked up (:mod:`~.addresses`).
        endpoint: The ``endpoint_url`` of the profile in use.
        listing: Lists what obstore cannot (:class:`~.listings.Boto3Listing`); without, such a listing is an error.
        retries: How often one call is tried again before it fails.
        patience: Seconds after which a call begins no other try.

    Attributes:
        passed_over: How many keys that cannot be read were found by listings; each may count several times.

    Raises:
        ContractError: The address, or the certificates, cannot be used; the message names the fix.
    """

    def __init__(
        self,
        run: RunLocation,
        *,
        credentials: Boto3CredentialProvider | None = None,
        environment: Mapping[str, str] = os.environ,
        endpoint: str | None = None,
        listing: Boto3Listing | None = None,
        retries: int = _RETRIES,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(run, environment, endpoint, credentials, retries, patience)
        self.passed_over = 0
        self._listing = listing
        _part_in_order()

    def with_patience(self, seconds: float) -> Self:
        """The same store for calls that have more time or less; it has connections of its own."""
        import copy

        store = copy.copy(self)
        store._limit(seconds)
        return store

    def _retry_config(self) -> dict[str, Any]:
        """Let the library give up first: it says why it has failed, and our own end of a call cannot."""
        from datetime import timedelta

        most = timedelta(seconds=min(_LONGEST_PAUSE, self._patience / 10))
        config = super()._retry_config()
        config["backoff"] |= {"init_backoff": min(timedelta(seconds=0.1), most), "max_backoff": most}
        return config | {"retry_timeout": timedelta(seconds=0.8 * self._patience)}

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        size = size_of(data)
        bucket = self._bucket_for(size)
        await self._tried(key, size, lambda _: obstore.put_async(bucket, key, iter(data), use_multipart=False))

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""

        async def get(limit: asyncio.Timeout) -> Buffer:
            response = await obstore.get_async(self._bucket, key)
            if (until := limit.when()) is not None:
                limit.reschedule(until + response.meta["size"] / _SLOWEST)
            return memoryview(await response.bytes_async())

        return await self._tried(key, 0, get)

    async def renew(self, key: str) -> None:
        """Have an object count as stored now: S3 copies it onto itself. One PUT stored it, so one copy can take it."""
        await self._tried(key, 0, lambda _: obstore.copy_async(self._bucket, key, key, overwrite=False))

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``; what cannot be read is passed over, and removed if allowed."""
        return await self._listed(prefix, lambda entries: [each["path"] for each in entries], lambda found: [*found])

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, as :meth:`list` does, with what is known of each object."""
        return await self._listed(prefix, _infos, lambda found: found)

    async def _listed(
        self, prefix: str, read: Callable[[Sequence[Any]], _T], convert: Callable[[dict[str, ObjectInfo]], _T]
    ) -> _T:
        async def listed(_: asyncio.Timeout) -> _T:
            pages = obstore.list(self._bucket, prefix, chunk_size=1000)
            return read([entry async for page in pages for entry in page])

        try:
            return await self._tried(prefix, 0, listed)
        except UnlistableError:
            if (listing := self._listing) is None:
                raise
            found = await self._tried(prefix, 0, lambda _: listing.sweep(prefix))
        self.passed_over += found.passed_over
        return convert(found.objects)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, a thousand a request."""
        if keys:
            await self._tried(str(keys), 0, lambda _: obstore.delete_async(self._bucket, list(keys)))

    async def _tried(self, key: str, size: int, action: Callable[[asyncio.Timeout], Awaitable[_T]]) -> _T:
        """Do something, as often as it takes."""
        import asyncio

        tries = self._tries(key)
        try:
            async with asyncio.timeout(self._patience + size / _SLOWEST) as limit:
                while True:
                    try:
                        return await action(limit)
                    except StoreError:
                        raise
                    except BaseException as error:
                        pause = tries.pause_after(error)
                    await asyncio.sleep(pause)
        except TimeoutError as error:
            text = f"S3 did not answer for {key!r} within {self._patience:g} s"
            if tries.refusal is not None:
                text += f", and before that: {tries.refusal}"
            raise StoreError(text, key=key, retryable=True) from error


def _infos(entries: Sequence[Any]) -> dict[str, ObjectInfo]:
    from scaler_batch.payload.store import ObjectInfo

    return {each["path"]: ObjectInfo(each["last_modified"].timestamp(), each["size"]) for each in entries}


class BlockingS3RunStore(_Run):
    """The objects of one run in S3, for the runner.

    A call begins no other try after ``patience`` seconds. What it has begun may take as long once more, and its last
    request a third of that, a minute at most, or longer where a large body keeps moving.

    Args:
        run: Whose objects.
        environment: Where S3's address and the certificates to trust are looked up (:mod:`~.addresses`).
        retries: How often one call is tried again before it fails.
        patience: Seconds after which a call begins no other try.

    Raises:
        ContractError: The address, or the certificates, cannot be used; the message names the fix.
    """

    def __init__(
        self,
        run: RunLocation,
        *,
        environment: Mapping[str, str] = os.environ,
        retries: int = _RETRIES,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(run, environment, None, None, retries, patience)

    def get(self, key: str) -> Buffer:
        """Return the whole object."""
        return self._tried(self._tries(key), lambda: memoryview(obstore.get(self._bucket, key).bytes()))

    def get_ranges(self, key: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return parts of an object."""

        # Not get_ranges: where one of several begins beyond the end, it panics.
        def get() -> list[Buffer]:
            return [memoryview(obstore.get(self._bucket, key, options={"range": each}).bytes()) for each in ranges]

        return self._tried(self._tries(key), get)

    def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``; :class:`UnlistableError` where keys hide others that cannot be read."""

        def listed() -> list[str]:
            return [entry["path"] for page in obstore.list(self._bucket, prefix, chunk_size=1000) for entry in page]

        return self._tried(self._tries(prefix), listed)

    def put_once(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, unless something lies there.

        What lies there may be what an earlier try has stored whose answer was lost; so where there was one, it is
        compared. Credentials are waited for, whatever is wrong with them: a result is at stake, and nobody else waits.
        """
        tries = self._tries(key, waits=True)
        bucket = self._bucket_for(size_of(data))

        # One request: a multipart upload could not be refused before its last part.
        def put() -> None:
            obstore.put(bucket, key, iter(data), mode="create", use_multipart=False)

        try:
            self._tried(tries, put)
        except AlreadyStoredError:
            if not (tries.lost_an_answer and self._holds(key, data)):
                raise

    def _holds(self, key: str, data: Pieces) -> bool:
        try:
            return self.get(key) == b"".join(data)
        except NotStoredError:
            return False

    def _tried(self, tries: Tries, action: Callable[[], _T]) -> _T:
        """Do something, as often as it takes."""
        while True:
            try:
                return action()
            except BaseException as error:
                pause = tries.pause_after(error)
            time.sleep(pause)
