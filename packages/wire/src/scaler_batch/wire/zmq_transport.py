"""The scheduler link over ZMQ: a DEALER socket read on the event loop, without a thread or a task of ours.

libzmq reconnects by itself and keeps what is sent meanwhile. Its file descriptor only says that *something* happened,
and says so once; therefore reading goes on until the socket is empty, and is looked at again after each send, which may
have swallowed the signal. A second descriptor brings the news of the connection's coming and going.

Each link has a context of its own, so that closing can wait for what was sent to be gone without regard to others.
"""

from __future__ import annotations

import asyncio

import zmq
from zmq.utils.monitor import parse_monitor_message

from .addresses import Endpoint
from .settings import LinkSettings
from .transport import Listener

_BATCH = 256
"""Frames read in a row before others on the event loop get their turn."""
_WATCHED = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
_KEEPALIVE_IDLE = 30


class ZmqTransport:
    """A DEALER socket connected to the scheduler's ROUTER.

    Args:
        endpoint: where the scheduler listens; the host is numeric.
        identity: the worker id.
        settings: the limits, the number of threads and the back-off are used.
        listener: hears what happens.
    """

    def __init__(self, endpoint: Endpoint, identity: bytes, settings: LinkSettings, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._reading_soon = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(settings.io_threads)
        self._socket = self._context.socket(zmq.SocketType.DEALER)
        _configure(self._socket, identity, settings)
        self._monitor = self._socket.get_monitor_socket(_WATCHED)
        self._socket.connect(str(endpoint))

    async def run(self) -> None:
        """Read until `close` is called."""
        if self._socket.closed:
            return
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._loop.add_reader(self._monitor.fileno(), self._read_monitor)
        self._read()
        self._read_monitor()
        await self._stopped.wait()

    def send(self, frame: bytes) -> None:
        """Hand a frame to libzmq, which has no limit here."""
        self._socket.send(frame, zmq.Flag.DONTWAIT)
        self._read_soon()

    async def close(self, grace: float) -> None:
        """Close the socket and wait until libzmq has sent what it holds, `grace` seconds at most."""
        if self._socket.closed:
            return
        self._stopped.set()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._monitor.fileno())
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=int(grace * 1000))
        await asyncio.to_thread(self._context.term)

    def _read_soon(self) -> None:
        if not self._reading_soon:
            self._reading_soon = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._reading_soon = False
        if self._socket.closed:
            return
        for _ in range(_BATCH):
            try:
                frames = self._socket.recv_multipart(zmq.Flag.DONTWAIT)
            except zmq.Again:
                return
            if len(frames) == 1:
                self._listener.frame_received(frames[0])
            else:
                self._listener.frame_refused(f"the scheduler sent {len(frames)} frames in place of one")
        self._read_soon()

    def _read_monitor(self) -> None:
        while not self._monitor.closed:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.Flag.DONTWAIT))["event"]
            except zmq.Again:
                return
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self._listener.link_up(None)
            elif event == zmq.Event.DISCONNECTED:
                self._listener.link_down("the connection to the scheduler is gone")


def _configure(socket: zmq.Socket[bytes], identity: bytes, settings: LinkSettings) -> None:
    socket.setsockopt(zmq.SocketOption.ROUTING_ID, identity)
    socket.setsockopt(zmq.SocketOption.IPV6, 1)
    socket.set_hwm(0)
    socket.setsockopt(zmq.SocketOption.MAXMSGSIZE, settings.max_message)
    socket.setsockopt(zmq.SocketOption.RECONNECT_IVL, int(settings.backoff.first * 1000))
    socket.setsockopt(zmq.SocketOption.RECONNECT_IVL_MAX, int(settings.backoff.longest * 1000))
    socket.setsockopt(zmq.SocketOption.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.SocketOption.TCP_KEEPALIVE_IDLE, _KEEPALIVE_IDLE)
