from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import pytest

from scaler_batch.adapter import harness


class Client:
    """Runs everything at once, in this process."""

    def __init__(self, address: str) -> None:
        if address == "tcp://nobody:1":
            raise ConnectionError("nobody listens")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def map(self, function: Callable[..., Any], values: Iterable[Any]) -> list[Any]:
        return [function(value) for value in values]

    def disconnect(self) -> None:
        pass


class WrongClient(Client):
    """Returns the wrong numbers."""

    def map(self, function: Callable[..., Any], values: Iterable[Any]) -> list[Any]:
        return [0 for _ in values]


class StuckClient(Client):
    """Never returns."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return Future()


class RaisingClient(Client):
    """Fails tasks."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        raise KeyError("lost")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the harness with a client of ours in place of Scaler's."""

    def run_with(client: type[Client], *arguments: str) -> int:
        module = ModuleType("scaler")
        module.Client = client  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "scaler", module)
        return harness.main(["--scheduler", "tcp://127.0.0.1:2345", *arguments])

    return run_with


def test_all_tests_pass_with_exit_code_0(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Client) == 0
    text = capsys.readouterr().out
    assert text.count("PASSED") == 4
    assert "  Result: 3328335.00\n" in text
    assert text.endswith("Results: 4/4 passed\n")


def test_a_larger_map_runs_when_it_is_named(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Client, "--test", "map_100") == 0
    assert "  Results: 100, the last is 198\n  PASSED\n" in capsys.readouterr().out


def test_a_wrong_result_fails_and_names_what_was_expected(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(WrongClient) == 1
    text = capsys.readouterr().out
    assert "FAILED: expected [0, 2, 4, 6, 8]" in text
    assert text.endswith("Results: 3/4 passed\n")


def test_a_task_that_never_ends_fails_in_time(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(StuckClient, "--test", "sqrt", "--timeout", "0.01") == 1
    assert "FAILED: Timeout waiting for result (0.01 s)" in capsys.readouterr().out


def test_an_exception_fails_the_test_and_is_shown(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(RaisingClient, "--test", "simple") == 1
    assert "FAILED: KeyError: 'lost'" in capsys.readouterr().out


def test_a_scheduler_that_is_not_there_is_said(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Client, "--scheduler", "tcp://nobody:1") == 1
    assert "Failed to connect to scheduler: ConnectionError" in capsys.readouterr().out


def test_without_scaler_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "scaler", None)
    assert harness.main(["--scheduler", "tcp://127.0.0.1:2345"]) == 2
    assert "scaler-batch-adapter[harness]" in capsys.readouterr().out
