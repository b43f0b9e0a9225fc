from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How many examples the hostile tests try; WIRE_HOSTILE_EXAMPLES=100000 for the long run.
HOSTILE_EXAMPLES = int(os.environ.get("WIRE_HOSTILE_EXAMPLES", "1000"))
settings.register_profile(
    "hostile", max_examples=HOSTILE_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("wire", deadline=None)
settings.load_profile("wire")

# Or else pytest-asyncio asks for the current loop before there is one; Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def vectors() -> dict[str, bytes]:
    """Messages made by the published library, by name."""
    text = (Path(__file__).parent / "data" / "vectors.json").read_text()
    return {name: bytes.fromhex(value) for name, value in json.loads(text).items()}
