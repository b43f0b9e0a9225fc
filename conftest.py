"""For the tests of every package."""

from __future__ import annotations

import asyncio
import signal

# pytest-asyncio 1.5 asks the policy for a loop before its first test; before Python 3.12 that makes one, which nobody
# closes, and some later test then fails of the warning. A policy that was once told "none" makes none.
asyncio.set_event_loop(None)

# A shell ignores SIGINT for what it runs in the background, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
