"""Calls that come to an end, whatever they call."""

from __future__ import annotations

import threading

import pytest

from scaler_batch.provision.bounded import OverdueError, call_all_within, call_within


class Hanging:
    """Somebody who waits for what does not happen."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self) -> str:
        self.released.wait()
        return "at last"


def test_what_is_returned_comes_back() -> None:
    assert call_within(60, lambda: 42) == 42


def test_what_is_raised_comes_back() -> None:
    def failing() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        call_within(60, failing)


def test_what_hangs_is_left_behind() -> None:
    hanging = Hanging()
    with pytest.raises(OverdueError):
        call_within(0.01, hanging)
    hanging.released.set()


def test_one_that_hangs_does_not_keep_the_others() -> None:
    hanging = Hanging()
    first, second = call_all_within(0.2, [lambda: "soon", hanging])
    assert first.get() == "soon"
    with pytest.raises(OverdueError):
        second.get()
    hanging.released.set()
