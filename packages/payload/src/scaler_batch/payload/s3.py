"""Runs in S3: the only importer of obstore.

obstore sends the requests, signs them, finds credentials (environment, container role, instance role) and retries what
may be retried, in native threads of its own. Nothing of it starts before the first request, so a process may import
this module and still fork; it must not fork after a request and use the store in the child.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PermissionDeniedError
from obstore.exceptions import UnauthenticatedError as NoCredentialsError
from obstore.store import S3Store as _Bucket

from scaler_batch.payload.errors import AlreadyStoredError, ContractError, NotStoredError, StoreError

if TYPE_CHECKING:
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    from scaler_batch.payload.keys import RunLocation
    from scaler_batch.payload.sections import Buffer

_RETRIES: Final = 10
_RETRY_FOR: Final = timedelta(minutes=3)
"""How often and how long one call is tried again before it fails: beyond S3's usual spells of 503 Slow Down. Waiting
begins at a tenth of a second and doubles, with jitter."""

_ENDPOINT: Final = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?")

_PERMANENT = (PermissionDeniedError, NoCredentialsError, NotSupportedError, FileNotFoundError)
"""What trying again does not help against. A write finds nothing only where the bucket itself is missing."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _bucket(
    run: RunLocation, environment: Mapping[str, str], retries: int, credentials: Boto3CredentialProvider | None = None
) -> _Bucket:
    endpoint = _endpoint(environment)
    options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if credentials is not None:
        options["credential_provider"] = credentials
    return _Bucket(
        run.bucket,
        prefix=run.root,
        region=run.region,
        client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
        retry_config={"max_retries": retries, "retry_timeout": _RETRY_FOR},
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
            permanent = isinstance(error, _PERMANENT)
            # Without the library's own internals, many lines of them.
            reason = str(error).partition("\n\nDebug source")[0]
            return StoreError(f"S3 refused {key!r}: {reason}", key=key, retryable=not permanent)


def _bordered(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let only our own errors out of a method whose first argument is a key, a prefix, or a list of keys."""

    @functools.wraps(method)
    async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await method(*args, **kwargs)
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, str(args[1])) from error

    return guarded


def boto3_credentials(session: boto3.Session) -> Boto3CredentialProvider:
    """Let a store use the credentials of a boto3 session, which knows profiles, SSO and credential processes."""
    # Imported here: only callers that have boto3 anyway come by.
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider(session)


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

    @_bordered
    async def put(self, key: str, data: Buffer) -> None:
        """Store ``data``, replacing what lay there."""
        await obstore.put_async(self._bucket, key, data)

    @_bordered
    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            response = await obstore.get_async(self._bucket, key)
        except FileNotFoundError as error:
            raise NotStoredError(key) from error
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

    def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            return memoryview(obstore.get(self._bucket, key).bytes())
        except FileNotFoundError as error:
            raise NotStoredError(key) from error
        except BaseError as error:
            raise _translated(error, key) from error

    def put_once(self, key: str, data: Buffer) -> None:
        """Store ``data`` unless something lies there."""
        try:
            # One request: a multipart upload could not be refused before its last part.
            obstore.put(self._bucket, key, data, mode="create", use_multipart=False)
        except (BaseError, FileNotFoundError) as error:
            raise _translated(error, key) from error
