"""Runs in S3: the only importer of obstore.

obstore sends the requests, signs them, finds credentials (environment, container role, instance role) and retries what
may be retried, in native threads of its own. Nothing of it starts before the first request, so a process may import
this module and still fork; it must not fork after a request and use the store in the child. What only callers with an
event loop need (asyncio, threads, dates) is imported by them: a runner has to be quick to start.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PermissionDeniedError
from obstore.exceptions import UnauthenticatedError as NoCredentialsError
from obstore.store import S3Store as _Bucket

from scaler_batch.payload.errors import AlreadyStoredError, ContractError, NotStoredError, StoreError

if TYPE_CHECKING:
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import RetryConfig

    from scaler_batch.payload.buffers import Buffer, Pieces
    from scaler_batch.payload.keys import RunLocation
    from scaler_batch.payload.parts import Range

_RETRIES: Final = 30
"""How often one request is tried again before it fails, within three minutes: beyond S3's usual spells of 503 Slow
Down."""

_GROWTH: Final = 3
"""Each wait is drawn between a tenth of a second and so many times the last one. With the library's own factor of 2 the
waits need not grow, and ten of them are often over within two seconds."""

_TIMEOUT: Final = "10m"
"""For one request with its body; the library's 30 s fail every put of a large object on a slow line."""

_ENDPOINT: Final = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")

_PERMANENT = (PermissionDeniedError, NoCredentialsError, NotSupportedError, FileNotFoundError)
"""What trying again does not help against. A write finds nothing only where the bucket itself is missing."""

_NO_BUCKET: Final = "NoSuchBucket"
"""Listing says only in its text that the bucket is missing."""

_EXPIRED: Final = re.compile(r"<Code>(ExpiredToken|TokenRefreshRequired|RequestExpired)</Code>")
"""What S3 says of credentials that held a moment ago, with a status of 400, which the library takes for final."""

_UNTIL_RENEWED: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0, 30.0, 30.0)
"""Seconds to wait for new credentials, try by try: three minutes in all, as for everything else, and the time for which
the library keeps those that it has been given."""

_MINUTES_KEPT: Final = 8
"""How long the library may take credentials of boto3's for good. boto3 renews them ten minutes before they expire at
the latest, and the library asks anew five minutes before the end of this."""

_PARTING: Final = 1.0
"""How many seconds the end of a process waits for obstore's threads to leave Python."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _bucket(
    run: RunLocation, environment: Mapping[str, str], retries: int, credentials: Boto3CredentialProvider | None = None
) -> _Bucket:
    endpoint = _endpoint(environment)
    plain = endpoint is not None and endpoint.startswith("http://")
    patience: RetryConfig = {"max_retries": retries, "backoff": {"base": _GROWTH}}
    options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if credentials is not None:
        options["credential_provider"] = credentials
    return _Bucket(
        run.bucket,
        prefix=run.root,
        region=run.region,
        # Without TLS there are no certificates to check, and reading the system's takes longer than a request.
        client_options={"allow_http": plain, "allow_invalid_certificates": plain, "timeout": _TIMEOUT},
        retry_config=patience,
        # Hashing the body for the signature takes four times as long as sending it. TLS guards it on its way, and the
        # checksum in the envelope from end to end.
        unsigned_payload=True,
        **options,
    )


def _endpoint(environment: Mapping[str, str]) -> str | None:
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return None
    # obstore does not check it; its first request would panic, which is no exception that anybody catches.
    address = _ENDPOINT.fullmatch(endpoint)
    if address is None or int(address["port"] or 0) > 65535:
        raise ContractError(f"{endpoint!r} in AWS_ENDPOINT_URL is not of the form http(s)://host:port")
    return endpoint


def _translated(error: Exception, key: str) -> StoreError:
    """Say in our words what obstore says in its own."""
    match error:
        case AlreadyExistsError():
            return AlreadyStoredError(key)
        case _:
            permanent = isinstance(error, _PERMANENT) or _NO_BUCKET in str(error)
            # Without the library's own internals, many lines of them.
            reason = str(error).partition("\n\nDebug source")[0]
            return StoreError(f"S3 refused {key!r}: {reason}", key=key, retryable=not permanent)


def _wait_for_credentials(error: Exception, key: str, waits: Iterator[float]) -> float:
    """Return how many seconds to wait for new credentials; raise what the error is in our words where none help."""
    wait = next(waits, None) if _EXPIRED.search(str(error)) else None
    if wait is None:
        raise _translated(error, key) from error
    return wait


def _bordered(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let only our own errors out of a method whose first argument is a key, a prefix, or a list of keys.

    Credentials that have expired are waited for: whoever gives them out has new ones soon.
    """

    @functools.wraps(method)
    async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        waits = iter(args[0]._waits)  # type: ignore[attr-defined]
        while True:
            try:
                return await method(*args, **kwargs)
            except (BaseError, FileNotFoundError) as error:
                wait = _wait_for_credentials(error, str(args[1]), waits)
            import asyncio

            await asyncio.sleep(wait)

    return guarded


def _blocking(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same for a method without an event loop."""

    @functools.wraps(method)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        waits = iter(args[0]._waits)  # type: ignore[attr-defined]
        while True:
            try:
                return method(*args, **kwargs)
            except (BaseError, FileNotFoundError) as error:
                wait = _wait_for_credentials(error, str(args[1]), waits)
            time.sleep(wait)

    return guarded


@contextlib.contextmanager
def _found(key: str) -> Iterator[None]:
    """A read that finds nothing has found that there is no object."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotStoredError(key) from error


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
    """Let a store use the credentials of a boto3 session, which knows profiles, SSO and credential processes."""
    # Imported here: only callers that have boto3 anyway come by.
    from datetime import timedelta

    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider(session, ttl=timedelta(minutes=_MINUTES_KEPT))


class S3RunStore:
    """The objects of one run in S3, for callers with an event loop.

    Args:
        run: Whose objects.
        credentials: Where credentials come from; by default obstore's own chain. See
            :func:`boto3_credentials`.
        environment: Where ``AWS_ENDPOINT_URL`` and ``AWS_ENDPOINT_URL_S3`` are looked up.
        retries: How often one call is tried again before it fails.
    """

    def __init__(
        self,
        run: RunLocation,
        *,
        credentials: Boto3CredentialProvider | None = None,
        environment: Mapping[str, str] = os.environ,
        retries: int = _RETRIES,
    ) -> None:
        self._bucket = _bucket(run, environment, retries, credentials)
        self._waits = _UNTIL_RENEWED[:retries]
        _part_in_order()

    @_bordered
    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        await obstore.put_async(self._bucket, key, iter(data), use_multipart=False)

    @_bordered
    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        with _found(key):
            response = await obstore.get_async(self._bucket, key)
        return memoryview(await response.bytes_async())

    @_bordered
    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return [entry["path"] async for page in obstore.list(self._bucket, prefix, chunk_size=1000) for entry in page]

    @_bordered
    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, a thousand a request."""
        if keys:
            await obstore.delete_async(self._bucket, list(keys))


class BlockingS3RunStore:
    """The objects of one run in S3, for the runner.

    Args:
        run: Whose objects.
        environment: Where ``AWS_ENDPOINT_URL`` and ``AWS_ENDPOINT_URL_S3`` are looked up.
        retries: How often one call is tried again before it fails.
    """

    def __init__(
        self, run: RunLocation, *, environment: Mapping[str, str] = os.environ, retries: int = _RETRIES
    ) -> None:
        self._bucket = _bucket(run, environment, retries)
        self._waits = _UNTIL_RENEWED[:retries]

    @_blocking
    def get(self, key: str) -> Buffer:
        """Return the whole object."""
        with _found(key):
            return memoryview(obstore.get(self._bucket, key).bytes())

    @_blocking
    def get_ranges(self, key: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return parts of an object."""
        # Not get_ranges: where one of several begins beyond the end, it panics, which is no exception that anybody
        # catches.
        with _found(key):
            return [memoryview(obstore.get(self._bucket, key, options={"range": each}).bytes()) for each in ranges]

    @_blocking
    def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return [entry["path"] for page in obstore.list(self._bucket, prefix, chunk_size=1000) for entry in page]

    @_blocking
    def put_once(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, unless something lies there."""
        # One request: a multipart upload could not be refused before its last part.
        obstore.put(self._bucket, key, iter(data), mode="create", use_multipart=False)
