"""The published scheduler, object storage and client, whichever release is installed beside this Python."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from scaler_batch.wire import Dialect

SOON = 60.0
STOP_WITHIN = 10.0
HOST = "127.0.0.1"
BACKENDS = ("zmq", "ymq")
ATTEMPTS = 3
"""Somebody else may take a port between our finding it free and a program's binding it."""

RELEASE = tuple(int(part) for part in importlib.metadata.version("opengris-scaler").split(".")[:2])
DIALECT = Dialect.NEW if RELEASE >= (2, 7) else Dialect.OLD

CLIENT = """
import math, sys, time
from scaler import Client
client = Client(sys.argv[1])
"""
"""What every client program starts with."""


class EndedError(Exception):
    """A program ended before it listened."""


def free_ports() -> int:
    """Find four ports in a row that nobody uses, below the range from which the system takes them by itself."""
    while True:
        first = random.randrange(20000, 30000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 4):
                stack.enter_context(socket.socket()).bind((HOST, port))
            return first


async def listening(process: Process, port: int) -> None:
    while True:
        if process.returncode is not None:
            raise EndedError
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


class Cluster:
    """The real scheduler and the real object storage, in processes of their own."""

    def __init__(self, backend: str, scaling: str, ports: int) -> None:
        self.environment = {**os.environ, "SCALER_NETWORK_BACKEND": backend}
        self.ports = ports
        self.policy = f"allocate=even_load; scaling={scaling}"
        self.scheduler_address = f"tcp://{HOST}:{ports}"
        self.storage_address = f"tcp://{HOST}:{ports + 3}"
        self.storage: Process
        self.scheduler: Process
        self._started: list[Process] = []

    async def start_storage(self) -> None:
        self.storage = await self._start("scaler_object_storage_server", self.storage_address, port=self.ports + 3)

    async def start_scheduler(self) -> None:
        options = ("-osa", self.storage_address, "-pc", self.policy, "-wt", "5", "-ls", "3600")
        self.scheduler = await self._start("scaler_scheduler", self.scheduler_address, *options, port=self.ports)

    async def _start(self, program: str, *arguments: str, port: int) -> Process:
        path = Path(sys.executable).parent / program
        process = await asyncio.create_subprocess_exec(
            path,
            *arguments,
            env=self.environment,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,  # up to 2.4.6 the scheduler is a child of the program; a group is killed as one
        )
        self._started.append(process)
        async with asyncio.timeout(SOON):
            await listening(process, port)
        return process

    async def stop(self) -> None:
        for process in reversed(self._started):
            await stop(process)

    async def client(self, program: str) -> str:
        """Run a client to its end and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT + program, self.scheduler_address, env=self.environment, stdout=PIPE
        )
        async with asyncio.timeout(SOON):
            output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()


async def stop(process: Process, number: signal.Signals = signal.SIGTERM) -> None:
    """End a program, and kill it where it does not end: on a busy machine, the published ones now and then hang."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def start(backend: str, *, scheduler: bool, scaling: str = "no") -> Cluster:
    """Start the object storage, and the scheduler if wanted.

    Args:
        backend: The transport of the scheduler.
        scheduler: Whether there is to be one.
        scaling: Its policy of commanding worker managers.
    """
    for attempt in range(1, ATTEMPTS + 1):
        cluster = Cluster(backend, scaling, free_ports())
        try:
            await cluster.start_storage()
            if scheduler:
                await cluster.start_scheduler()
        except EndedError:
            await cluster.stop()
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return cluster
