from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from scaler_batch.aws.bridge import THREADS, Bridge


async def test_a_blocking_call_does_not_block_the_loop():
    bridge = Bridge()
    gate = threading.Event()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(bridge.call(gate.wait, 30.0))
        await asyncio.sleep(0)
        assert not call.done()
        gate.set()
    assert call.result()
    bridge.close()


async def test_arguments_and_errors_pass_through():
    bridge = Bridge()
    assert await bridge.call(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await bridge.call(int, "no number")
    bridge.close()


async def test_no_more_calls_run_at_a_time_than_there_are_threads():
    bridge = Bridge()
    inside = threading.Semaphore(0)
    gate = threading.Event()

    def enter() -> None:
        inside.release()
        gate.wait(30.0)

    async with asyncio.TaskGroup() as group:
        for _ in range(2 * THREADS):
            group.create_task(bridge.call(enter))
        for _ in range(THREADS):
            assert await asyncio.to_thread(inside.acquire, timeout=30.0)
        assert not inside.acquire(blocking=False)
        gate.set()
    bridge.close()


async def test_a_closed_bridge_drops_what_waits_and_takes_no_more():
    bridge = Bridge()
    gate = threading.Event()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(bridge.call(gate.wait, 30.0)) for _ in range(THREADS)]
        await asyncio.sleep(0)
        waiting = group.create_task(bridge.call(gate.wait, 30.0))
        await asyncio.sleep(0)
        bridge.close()
        gate.set()
    assert all(call.result() for call in running)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        await bridge.call(int)


STUCK = """
import asyncio, threading
from scaler_batch.aws.bridge import Bridge

async def main():
    bridge = Bridge()
    try:
        async with asyncio.timeout(0.1):
            await bridge.call(threading.Event().wait, 60.0)
    except TimeoutError:
        print("left")
    bridge.close()

asyncio.run(main())
"""


def test_a_call_that_does_not_end_does_not_hold_up_the_end_of_the_process():
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "left\n"
