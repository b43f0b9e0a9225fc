"""Runs in S3: the only importer of obstore.

obstore sends the requests, signs them, finds credentials (environment, container role, instance role) and retries what
may be retried, in native threads of its own. Nothing of it starts before the first request, so a process may import
this module and still fork; it must not fork after a request and use the store in the child.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PermissionDeniedError
from obstore.exceptions import UnauthenticatedError as NoCredentialsError
from obstore.store import S3Store as _Bucket

from scaler_batch.payload.errors import AlreadyStoredError, NotStoredError, StoreError

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

    from scaler_batch.payload.keys import RunLocation
    from scaler_batch.payload.sections import Buffer

_RETRIES: Final = 10
_RETRY_FOR: Final = timedelta(minutes=3)
"""How long one call is tried before it fails: longer than S3's usual spells of 503 Slow Down."""

_PERMANENT = (PermissionDeniedError, NoCredentialsError, NotSupportedError)

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _bucket(run: RunLocation, environment: Mapping[str, str], credentials: Boto3CredentialProvider | None) -> _Bucket:
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if credentials is not None:
        options["credential_provider"] = credentials
    return _Bucket(
        run.bucket,
        prefix=run.root,
        region=run.region,
        client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
        **options,
    )


def _translated(error: Exception, key: str) -> StoreError:
    """Say in our words what obstore says in its own."""
    match error:
        case FileNotFoundError():
            return NotStoredError(key)
        case AlreadyExistsError():
            return AlreadyStoredError(key)
        case _:
            permanent = isinstance(error, _PERMANENT)
            return StoreError(f"S3 refused {key!r}: {error}", key=key, retryable=not permanent)


def _bordered(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let only our own errors out of a method whose first argument is a key, a prefix, or a list of keys."""

    @functools.wraps(method)
    async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await method(*args, **kwargs)
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, str(args[1])) from error

    return guarded


class S3RunStore:
    """The objects of one run in S3, for callers with an event loop.

    Args:
        run: Whose objects.
        credentials: Where credentials come from; by default obstore's own chain. Give boto3's provider
            (``obstore.auth.boto3``) where profiles, SSO or credential processes are to work.
        environment: Where ``AWS_ENDPOINT_URL`` and ``AWS_ENDPOINT_URL_S3`` are looked up.
    """

    def __init__(
        self,
        run: RunLocation,
        *,
        credentials: Boto3CredentialProvider | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._bucket = _bucket(run, environment, credentials)

    @_bordered
    async def put(self, key: str, data: Buffer) -> None:
        """Store ``data``, replacing what lay there."""
        await obstore.put_async(self._bucket, key, data)

    @_bordered
    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
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
    """

    def __init__(self, run: RunLocation, *, environment: Mapping[str, str] = os.environ) -> None:
        self._bucket = _bucket(run, environment, None)

    def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            return memoryview(obstore.get(self._bucket, key).bytes())
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, key) from error

    def put_once(self, key: str, data: Buffer) -> None:
        """Store ``data`` unless something lies there."""
        try:
            # One request: a multipart upload could not be refused before its last part.
            obstore.put(self._bucket, key, data, mode="create", use_multipart=False)
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, key) from error
