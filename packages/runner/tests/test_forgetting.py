"""A secret of the environment is gone before a call runs."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler_batch.payload import RunSeal, Seal
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import KEY_IN_CONTAINER, PAYLOAD_KEY_VARIABLE, ExitCode
from scaler_batch.runner.forgetting import forget_variable

if TYPE_CHECKING:
    from conftest import Run

DIGITS = bytes(range(32)).hex()


def test_a_variable_that_is_forgotten_is_not_to_be_seen_from_outside(
    monkeypatch: Any, fresh: Callable[[Callable[[], Any]], Any]
) -> None:
    def look() -> tuple[bool, bool, bool]:
        before = b"HOME=" in Path("/proc/self/environ").read_bytes()
        forget_variable("HOME")
        shown = Path("/proc/self/environ").read_bytes()
        return before, b"HOME=" in shown, b"PYTHONPATH=" in shown

    assert fresh(look) == (True, False, True)


def test_a_variable_that_is_not_there_is_forgotten_already(monkeypatch: Any) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    forget_variable("NO_SUCH_VARIABLE")
    assert "NO_SUCH_VARIABLE" not in os.environ


def test_no_call_finds_the_payload_key_in_its_container(run: Run) -> None:
    name, digits = PAYLOAD_KEY_VARIABLE, DIGITS

    def search() -> list[str]:
        found = [os.environ.get(name, ""), *(value for value in os.environ.values() if value == digits)]
        for process in (os.getpid(), os.getppid()):
            with open(f"/proc/{process}/environ", "rb") as file:
                found += [str(process)] if digits.encode() in file.read() else []
        return [each for each in found if each]

    key = Seal.from_hex(DIGITS)
    sequence, command = run.inline(make_call(search), make_call(math.sqrt, 16))
    command[-1] = f"{KEY_IN_CONTAINER}{key.fingerprint}"
    code, _, err = run.start(*command, **{name: digits}).finish()
    assert code == ExitCode.PUBLISHED, err
    seal = RunSeal(run.location, key).submission(sequence).job(None)
    run.key = key
    (searched, root), _ = run.read(seal.outcome_key())
    assert (pickle.loads(searched.value), pickle.loads(root.value)) == ([], 4.0)
