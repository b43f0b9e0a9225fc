"""Memory limits and user limits, on processes of the test's own."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scaler_batch.local.jobhost import userlimits
from scaler_batch.local.jobhost.memory import MemoryWatch

HOLD = "import sys; held = bytearray(b'x') * (80 << 20); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process that holds 80 MiB."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def look(watch: MemoryWatch) -> None:
    """Look now, however little time has passed."""
    watch._next = 0.0
    watch.look()


def test_nothing_is_looked_at_without_a_limit() -> None:
    watch = MemoryWatch()
    watch.add(1, 0)
    assert watch.patience is None
    assert watch.remove(1) is False


def test_a_process_within_its_limit_is_left_alone(holder: subprocess.Popen[str]) -> None:
    watch = MemoryWatch()
    watch.add(holder.pid, 400 << 20)
    for _ in range(3):
        look(watch)
    assert (holder.poll(), watch.remove(holder.pid)) == (None, False)


def test_a_process_over_its_limit_is_killed_at_the_second_look(holder: subprocess.Popen[str]) -> None:
    watch = MemoryWatch()
    watch.add(holder.pid, 40 << 20)
    look(watch)
    assert holder.poll() is None
    look(watch)
    assert (holder.wait(10), watch.remove(holder.pid)) == (-signal.SIGKILL, True)


def test_a_process_that_has_gone_holds_nothing(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    watch = MemoryWatch()
    watch.add(holder.pid, 1)
    for _ in range(3):
        look(watch)
    assert watch.remove(holder.pid) is False


def test_there_is_time_between_two_looks(holder: subprocess.Popen[str]) -> None:
    watch = MemoryWatch()
    watch.add(holder.pid, 400 << 20)
    look(watch)
    assert watch.patience is not None
    assert watch.patience > 0


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[int, Any]]:
    """Pretend that this user may have so much of everything; gives what is set."""
    done: dict[int, Any] = {}

    def allow(hard: int) -> dict[int, Any]:
        monkeypatch.setattr(resource, "getrlimit", lambda number: (0, hard))
        monkeypatch.setattr(resource, "setrlimit", done.__setitem__)
        return done

    return allow


@pytest.mark.parametrize(
    ("hard", "wanted", "given"),
    [
        (100, (10, 20), (10, 20)),
        (100, (10, 200), (10, 100)),
        (100, (150, 200), (100, 100)),
        (100, (-1, -1), (100, 100)),
        (resource.RLIM_INFINITY, (5, -1), (5, resource.RLIM_INFINITY)),
        (resource.RLIM_INFINITY, (-1, -1), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    ],
)
def test_user_limits_go_as_far_as_the_user_may(allowed: Any, hard: int, wanted: Any, given: Any) -> None:
    done = allowed(hard)
    userlimits.impose([("nofile", *wanted)])
    assert done == {resource.RLIMIT_NOFILE: given}


def test_a_limit_that_this_machine_does_not_know_has_no_number() -> None:
    assert userlimits.number_of("colour") is None
    assert userlimits.number_of("nofile") == resource.RLIMIT_NOFILE
