"""TLS and WebSocket, on both links: what arrives, what is refused, and what is said of it.

`Front` stands before a server that speaks plain YMQ, takes TLS and WebSocket off, and passes the rest on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
import trustme
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from scaler_batch.wire import (
    Backoff,
    ConnectionLostError,
    LinkSettings,
    ObjectStorageAddress,
    ObjectStorageClient,
    Registered,
    RemoteProtocolError,
    StorageSettings,
    TaskReceived,
    TlsError,
    TransportKind,
    WorkerConnection,
    WorkerHeartbeat,
    hear_greeting,
    parse,
)
from scaler_batch.wire import messages as m
from scaler_batch.wire.addresses import Scheme
from scaler_batch.wire.testing import MemoryObjectStorage, ScriptedScheduler
from scaler_batch.wire.tls import TlsSettings

SOON = 20.0
SHORT = 0.3
HOST = "127.0.0.1"
QUICK = Backoff(first=0.001, longest=0.01)
OBJECT = bytes(32)
SECURED = [Scheme.TLS, Scheme.WS, Scheme.WSS]


@dataclass(frozen=True)
class Authority:
    """A CA and the files made from it."""

    ca: trustme.CA
    folder: Path

    @property
    def file(self) -> str:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(path)
        return str(path)

    def pair(self, name: str, issued: trustme.LeafCert) -> tuple[str, str]:
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return str(certificate), str(key)

    def server(self, *names: str, expires: datetime | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(*(names or (HOST,)), not_after=expires).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(trustme.CA(), tmp_path_factory.mktemp("authority"))


class Middle:
    """Accepts connections on a free port and stands between them and `port`; drops all of them when it is left."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._behind, self._context = port, context
        self._serving: list[asyncio.Future[None]] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self._context is not None:
                # Not by the server, which would have nobody to close what is left in the middle of a handshake.
                await writer.start_tls(self._context)
            near, far = await asyncio.open_connection(HOST, self._behind)
            writers.append(far)
            await self.connect(reader, writer, near, far)
        except* (OSError, EOFError):
            pass
        finally:
            for each in writers:
                each.transport.abort()
            await asyncio.sleep(0)

    async def connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        near: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        """Pass on what comes from either side."""
        raise NotImplementedError


class Tap(Middle):
    """Keeps what passes."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.tapped = bytearray()

    async def connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        near: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(reader, far))
            group.create_task(self._pass_on(near, writer))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            self.tapped += data
            sink.write(data)
        raise EOFError


class Front(Middle):
    """Takes TLS and WebSocket off what comes, and puts them on what goes back."""

    def __init__(self, scheme: Scheme, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port, context if scheme.is_encrypted else None)
        self._scheme = scheme

    @property
    def address(self) -> str:
        return f"{self._scheme.value}://{HOST}:{self.port}"

    async def connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        near: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        socket = WSConnection(ConnectionType.SERVER) if self._scheme.is_websocket else None
        if socket is not None:
            await self._shake_hands(socket, reader, writer)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._inwards(socket, reader, writer, far))
            group.create_task(self._outwards(socket, near, writer))

    async def _shake_hands(
        self, socket: WSConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not any(isinstance(event, ws.Request) for event in socket.events()):
            data = await reader.read(65536)
            if not data:
                raise EOFError
            socket.receive_data(data)
        writer.write(socket.send(ws.AcceptConnection()))
        writer.write(socket.send(ws.Ping(b"are you there?")))

    async def _inwards(
        self,
        socket: WSConnection | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far: asyncio.StreamWriter,
    ) -> None:
        while data := await reader.read(65536):
            if socket is None:
                far.write(data)
                continue
            socket.receive_data(data)
            for event in socket.events():
                if isinstance(event, ws.BytesMessage):
                    far.write(bytes(event.data))
                if isinstance(event, ws.CloseConnection):
                    writer.write(socket.send(event.response()))
                    raise EOFError
        raise EOFError

    async def _outwards(
        self, socket: WSConnection | None, near: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await near.read(65536):
            writer.write(data if socket is None else socket.send(ws.BytesMessage(data, message_finished=False)))
            await writer.drain()
        raise EOFError


@pytest.fixture
async def front(storage: MemoryObjectStorage, authority: Authority) -> AsyncIterator[Callable[..., Awaitable[Front]]]:
    """Puts something before the object storage."""
    async with contextlib.AsyncExitStack() as stack:

        async def made(scheme: Scheme, context: ssl.SSLContext | None = None) -> Front:
            return await stack.enter_async_context(Front(scheme, storage.server.port, context or authority.server()))

        yield made


def settings(authority: Authority, connect_timeout: float = SOON, **tls: str) -> StorageSettings:
    return StorageSettings(
        tls=TlsSettings(**({"ca": authority.file} | tls)), backoff=QUICK, connect_timeout=connect_timeout
    )


@pytest.mark.parametrize("scheme", SECURED)
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_objects_arrive_whole_through_every_scheme(
    front: Callable[..., Awaitable[Front]], authority: Authority, scheme: Scheme, size: int
) -> None:
    content = os.urandom(size)
    before = await front(scheme)
    async with ObjectStorageClient(before.address, settings=settings(authority)) as client:
        await client.set(OBJECT, content, content)
        assert await client.get(OBJECT, SOON) == content + content


@pytest.mark.parametrize("scheme", SECURED)
async def test_a_task_arrives_and_its_answer_leaves_through_every_scheme(authority: Authority, scheme: Scheme) -> None:
    task = m.Task(b"t" * 16, b"Client|c", b"", b"f" * 32)
    async with (
        ScriptedScheduler(ObjectStorageAddress(HOST, 5, "wss"), transport=TransportKind.YMQ) as scheduler,
        Front(scheme, int(scheduler.address.rsplit(":")[-1]), authority.server()) as before,
    ):
        link = LinkSettings(tls=TlsSettings(ca=authority.file), backoff=QUICK)
        async with WorkerConnection(before.address, WorkerHeartbeat, settings=link) as worker, asyncio.timeout(SOON):
            await scheduler.heartbeat()
            scheduler.send(task)
            seen: list[object] = []
            while len(seen) < 2:
                event = await anext(worker)
                seen += [event] if isinstance(event, Registered | TaskReceived) else []
            worker.send_result(task.task_id, m.ResultKind.FAILED_WORKER_DIED, None)
            assert (await scheduler.receive(m.TaskResult)).task_id == task.task_id


async def test_what_travels_through_tls_cannot_be_read_on_the_way(
    storage: MemoryObjectStorage, authority: Authority, front: Callable[..., Awaitable[Front]]
) -> None:
    before = await front(Scheme.WSS)
    async with (
        Tap(before.port) as tap,
        ObjectStorageClient(f"wss://{HOST}:{tap.port}", settings=settings(authority)) as client,
    ):
        await client.set(OBJECT, b"what only we two know" * 100)
    assert storage.objects[OBJECT] == b"what only we two know" * 100
    assert len(tap.tapped) > 2100
    assert b"what only we two know" not in tap.tapped


EXPIRED = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("scheme", [Scheme.TLS, Scheme.WSS])
@pytest.mark.parametrize(
    ("names", "expires", "tls", "complaint"),
    [
        ((), EXPIRED, {}, "has expired: renew it"),
        (("elsewhere.example",), None, {}, "made out to somebody else .*--tls-server-name"),
        ((), None, {"server_name": "elsewhere.example"}, "made out to somebody else"),
        ((), None, {"ca": None}, "signed by nobody that is trusted here .*--tls-ca"),
    ],
)
async def test_a_certificate_that_cannot_be_trusted_ends_the_attempt_at_once(
    front: Callable[..., Awaitable[Front]],
    authority: Authority,
    scheme: Scheme,
    names: tuple[str, ...],
    expires: datetime | None,
    tls: dict[str, str],
    complaint: str,
) -> None:
    before = await front(scheme, authority.server(*names, expires=expires))
    with pytest.raises(TlsError, match=complaint):
        async with ObjectStorageClient(before.address, settings=settings(authority, **tls)):
            pass
    link = LinkSettings(tls=settings(authority, **tls).tls)
    with pytest.raises(TlsError, match=re.escape(before.address)):
        async with WorkerConnection(before.address, WorkerHeartbeat, settings=link):
            pass


async def test_a_name_that_the_certificate_bears_may_be_given(
    front: Callable[..., Awaitable[Front]], authority: Authority
) -> None:
    before = await front(Scheme.WSS, authority.server("scheduler.example"))
    tls = TlsSettings(ca=authority.file, server_name="scheduler.example")
    assert (await hear_greeting(parse(before.address), SOON, tls)).identity == b"ObjectStorageServer"


async def test_the_file_of_a_ca_may_hold_the_certificate_of_the_server_itself(
    front: Callable[..., Awaitable[Front]], authority: Authority
) -> None:
    issued = authority.ca.issue_cert(HOST)
    certificate, key = authority.pair("itself", issued)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    leaf = authority.folder / "leaf.pem"
    issued.cert_chain_pems[0].write_to_path(leaf)
    before = await front(Scheme.TLS, context)
    assert await hear_greeting(parse(before.address), SOON, TlsSettings(ca=str(leaf)))


async def test_a_proxy_that_wants_a_certificate_gets_ours(
    front: Callable[..., Awaitable[Front]], authority: Authority
) -> None:
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    before = await front(Scheme.WSS, context)
    certificate, key = authority.pair("worker", authority.ca.issue_cert("worker.example"))
    tls = TlsSettings(ca=authority.file, certificate=certificate, key=key)
    assert await hear_greeting(parse(before.address), SOON, tls)
    with pytest.raises(ConnectionLostError, match="--tls-cert and --tls-key"):
        await hear_greeting(parse(before.address), SOON, TlsSettings(ca=authority.file))


@pytest.mark.parametrize(
    ("spoken", "behind", "kind", "complaint"),
    [
        (Scheme.TLS, Scheme.TCP, TlsError, "answers without TLS: .*use tcp:// for tls://"),
        (Scheme.WSS, Scheme.TCP, TlsError, "answers without TLS"),
        (Scheme.WS, Scheme.TCP, RemoteProtocolError, "listens at a tcp:// address"),
        (Scheme.WSS, Scheme.TLS, RemoteProtocolError, "listens at a tls:// address"),
        (Scheme.TCP, Scheme.TLS, ConnectionLostError, "does not greet; if it listens at tls://, ws:// or wss://"),
        (Scheme.TCP, Scheme.WS, ConnectionLostError, "does not greet; if it listens at"),
        (Scheme.TLS, Scheme.WSS, ConnectionLostError, "does not greet; if it listens at ws:// or wss://"),
    ],
)
async def test_another_scheme_than_the_peer_speaks_is_told_by_name(
    front: Callable[..., Awaitable[Front]],
    authority: Authority,
    spoken: Scheme,
    behind: Scheme,
    kind: type[Exception],
    complaint: str,
) -> None:
    before = await front(behind)
    address = f"{spoken.value}://{HOST}:{before.port}"
    tls = TlsSettings(ca=authority.file)
    with pytest.raises(ConnectionLostError, match=complaint):
        async with ObjectStorageClient(address, settings=settings(authority, SHORT)):
            pass
    link = LinkSettings(tls=tls, connect_timeout=SHORT, backoff=QUICK)
    with pytest.raises(kind, match=complaint):
        async with WorkerConnection(address, WorkerHeartbeat, settings=link):
            pass


FILES: list[tuple[Callable[[Authority], TlsSettings], str]] = [
    (lambda _: TlsSettings(ca="/nowhere/ca.pem"), r"/nowhere/ca.pem cannot be read: .*--tls-ca"),
    (lambda _: TlsSettings(ca=__file__), r"not PEM with the certificates of a CA.*--tls-ca"),
    (lambda a: TlsSettings(certificate=a.file), "needs both --tls-cert and --tls-key"),
    (lambda a: TlsSettings(certificate=a.file, key=__file__), "not PEM with a certificate and its key"),
]


@pytest.mark.parametrize(("make", "complaint"), FILES)
def test_a_file_that_cannot_be_used_is_named(
    authority: Authority, make: Callable[[Authority], TlsSettings], complaint: str
) -> None:
    with pytest.raises(TlsError, match=complaint):
        make(authority).context()


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization as form

    certificate, plain = authority.pair("locked", authority.ca.issue_cert("worker.example"))
    key = form.load_pem_private_key(Path(plain).read_bytes(), None)
    locked = authority.folder / "locked.pem.key"
    locked.write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(TlsError, match="without a passphrase"):
        TlsSettings(certificate=certificate, key=str(locked)).context()


@pytest.fixture
def renewed(authority: Authority) -> Iterator[str]:
    path = authority.folder / "renewed.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


async def test_a_file_that_was_replaced_is_used_at_the_next_connection(
    front: Callable[..., Awaitable[Front]], authority: Authority, renewed: str
) -> None:
    before = await front(Scheme.TLS)
    tls = TlsSettings(ca=renewed)
    with pytest.raises(TlsError):
        await hear_greeting(parse(before.address), SOON, tls)
    authority.ca.cert_pem.write_to_path(renewed)
    assert await hear_greeting(parse(before.address), SOON, tls)
