from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

Fresh = Callable[[Callable[[], Any]], Any]


def answers(*pieces: bytes, code: int = 0) -> Callable[[BinaryIO], int]:
    """A child that writes these and ends well."""

    def work(answer: BinaryIO) -> int:
        for piece in pieces:
            answer.write(piece)
        return code

    return work


def ended(fresh: Fresh, work: Callable[[BinaryIO], int]) -> tuple[int, bool, bytes, Any]:
    """Run ``work`` in a forked child of a fresh process; return what became of it."""

    def parent() -> tuple[int, bool, bytes, Any]:
        from scaler_batch.runner import forked

        child = forked.start(work)
        result = child.wait()
        return result.code, result.whole, bytes(result.written), result.usage

    return fresh(parent)


@pytest.mark.parametrize("pieces", [(), (b"",), (b"one", b"two"), (b"x" * 3_000_000,)])
def test_the_parent_gets_what_the_child_wrote(fresh: Fresh, pieces: tuple[bytes, ...]) -> None:
    code, whole, written, _ = ended(fresh, answers(*pieces, code=7))
    assert (code, whole) == (7, True)
    assert written == b"".join(pieces)


def test_an_answer_cut_short_by_an_exit_is_not_whole(fresh: Fresh) -> None:
    def work(answer: BinaryIO) -> int:
        answer.write(b"half")
        answer.flush()
        os._exit(0)

    assert ended(fresh, work)[:3] == (0, False, b"half")


def test_an_answer_cut_short_by_a_signal_is_not_whole(fresh: Fresh) -> None:
    def work(answer: BinaryIO) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert ended(fresh, work)[:3] == (-signal.SIGKILL, False, b"")


def test_work_that_raises_is_broken_and_its_message_stays_out_of_the_log(
    fresh: Fresh, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(answer: BinaryIO) -> int:
        answer.write(b"half")
        raise ValueError("secret")

    code, whole, _, _ = ended(fresh, work)
    assert (code, whole) == (70, False)
    err = capfd.readouterr().err
    assert "ValueError" in err
    assert "secret" not in err


def test_nobody_can_change_a_whole_answer(fresh: Fresh) -> None:
    def parent() -> bytes:
        from scaler_batch.runner import forked

        child = forked.start(answers(b"whole"))
        left_behind = os.dup(child._answer)
        result = child.wait()
        with pytest.raises(PermissionError):
            os.pwrite(left_behind, b"other", 8)
        with pytest.raises(PermissionError):
            os.ftruncate(left_behind, 0)
        return bytes(result.written)

    assert fresh(parent) == b"whole"


def test_memory_is_the_peak_above_what_the_child_began_with(fresh: Fresh) -> None:
    def small(answer: BinaryIO) -> int:
        return 0

    def large(answer: BinaryIO) -> int:
        return len(bytearray(b"x") * 50_000_000) & 0

    assert ended(fresh, small)[3].memory < 10_000_000
    assert 49_000_000 <= ended(fresh, large)[3].memory < 65_000_000


def test_processor_time_is_that_of_the_child(fresh: Fresh) -> None:
    def work(answer: BinaryIO) -> int:
        import time

        while time.process_time() < 0.3:
            pass
        return 0

    usage = ended(fresh, work)[3]
    assert 0.2 <= usage.cpu <= usage.wall + 0.1


def test_the_child_reads_nothing_from_stdin(fresh: Fresh) -> None:
    def work(answer: BinaryIO) -> int:
        answer.write(sys.stdin.read().encode() + b"end")
        return 0

    assert ended(fresh, work)[2] == b"end"


def test_what_was_printed_before_the_fork_is_printed_once(capfd: pytest.CaptureFixture[str], fresh: Fresh) -> None:
    def parent() -> None:
        from scaler_batch.runner import forked

        sys.stdout.write("before ")

        def work(answer: BinaryIO) -> int:
            sys.stdout.write("inside ")
            return 0

        forked.start(work).wait()
        sys.stdout.write("after")

    fresh(parent)
    assert capfd.readouterr().out == "before inside after"


@pytest.mark.parametrize("spoil", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout = object()", "os.close(1)"])
def test_a_child_that_spoils_its_stdout_still_answers(fresh: Fresh, spoil: str) -> None:
    def work(answer: BinaryIO) -> int:
        exec(spoil, {"os": os, "sys": sys})
        answer.write(b"answer")
        return 0

    assert ended(fresh, work)[:3] == (0, True, b"answer")


def test_a_child_leads_its_own_group_and_has_the_default_sigterm(fresh: Fresh) -> None:
    def parent() -> bytes:
        from scaler_batch.runner import forked

        signal.signal(signal.SIGTERM, lambda *_: None)

        def work(answer: BinaryIO) -> int:
            answer.write(repr((os.getpgid(0) == os.getpid(), signal.getsignal(signal.SIGTERM))).encode())
            return 0

        return bytes(forked.start(work).wait().written)

    assert fresh(parent) == repr((True, signal.SIG_DFL)).encode()


def test_what_a_child_started_is_killed_when_the_child_ends(fresh: Fresh) -> None:
    def parent() -> bool:
        from scaler_batch.runner import forked

        reader, writer = os.pipe()
        os.set_inheritable(writer, True)

        def holding(answer: BinaryIO) -> int:
            subprocess.Popen(["sleep", "600"], close_fds=False)
            return 0

        forked.start(holding, keep=[writer]).wait()
        os.close(writer)
        # The pipe ends when the last process that holds its other end is gone.
        return bool(select.select([reader], [], [], 30)[0]) and os.read(reader, 1) == b""

    assert fresh(parent)


def test_killing_a_child_kills_all_it_started_and_may_be_repeated(fresh: Fresh) -> None:
    def parent() -> tuple[int, bool]:
        from scaler_batch.runner import forked

        reader, writer = os.pipe()
        started, ready = os.pipe()
        os.set_inheritable(writer, True)

        def work(answer: BinaryIO) -> int:
            sleeper = subprocess.Popen(["sleep", "600"], close_fds=False)
            os.write(ready, b"x")
            return sleeper.wait()

        child = forked.start(work, keep=[writer, ready])
        os.close(writer)
        os.read(started, 1)
        child.kill()
        code = child.wait().code
        child.kill()
        return code, bool(select.select([reader], [], [], 30)[0]) and os.read(reader, 1) == b""

    assert fresh(parent) == (-signal.SIGKILL, True)


def test_a_child_does_not_outlive_a_parent_that_is_killed(fresh: Fresh) -> None:
    def grandparent() -> bool:
        reader, writer = os.pipe()
        started, ready = os.pipe()
        os.set_inheritable(writer, True)
        parent = os.fork()
        if parent == 0:
            from scaler_batch.runner import forked

            def work(answer: BinaryIO) -> int:
                sleeper = subprocess.Popen(["sleep", "600"], close_fds=False)
                os.write(ready, b"x")
                return sleeper.wait()

            forked.start(work, keep=[writer, ready]).wait()
            os._exit(0)
        os.close(writer)
        os.read(started, 1)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        return bool(select.select([reader], [], [], 30)[0]) and os.read(reader, 1) == b""

    assert fresh(grandparent)


def test_a_child_has_no_file_of_another(fresh: Fresh) -> None:
    def parent() -> tuple[list[str], list[str]]:
        from scaler_batch.runner import forked

        def listing(answer: BinaryIO) -> int:
            numbers = [int(each) for each in os.listdir("/proc/self/fd")]
            paths = [Path(f"/proc/self/fd/{number}") for number in numbers if number > 2]
            names = sorted(os.readlink(path).split(":")[0] for path in paths if path.exists() or path.is_symlink())
            answer.write("\n".join(names).encode())
            return 0

        def waiting(answer: BinaryIO) -> int:
            os.read(gate, 1)
            return 0

        gate, opens = os.pipe()
        first, second = forked.start(waiting, keep=[gate]), forked.start(listing)
        found = bytes(second.wait().written).decode().split("\n")
        third = forked.start(listing, keep=[gate])
        kept = bytes(third.wait().written).decode().split("\n")
        os.write(opens, b"x")
        first.wait()
        return found, kept

    found, kept = fresh(parent)
    assert found == ["/memfd", "pipe"], "its answer and its leash"
    assert kept == ["/memfd", "pipe", "pipe"]


def test_a_child_that_has_left_its_group_is_killed_all_the_same(fresh: Fresh) -> None:
    def parent() -> int:
        from scaler_batch.runner import forked

        started, ready = os.pipe()

        def leaving(answer: BinaryIO) -> int:
            os.setpgid(0, os.getpgid(os.getppid()))
            os.write(ready, b"x")
            return signal.pause() or 0

        child = forked.start(leaving, keep=[ready])
        os.read(started, 1)
        child.kill()
        return child.wait().code

    assert fresh(parent) == -signal.SIGKILL


@pytest.mark.parametrize("size", [2**40, 2**62])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_an_answer_that_was_stretched_is_not_whole_and_takes_no_memory(
    fresh: Fresh, size: int, is_sealed: bool
) -> None:
    def work(answer: BinaryIO) -> int:
        answer.flush()
        os.ftruncate(answer.fileno(), size)
        if not is_sealed:
            os._exit(0)
        return 0

    code, whole, written, _ = ended(fresh, work)
    assert (code, whole) == (0, False)
    assert len(written) < 100_000


def test_an_answer_that_could_still_shrink_is_not_whole(fresh: Fresh) -> None:
    def work(answer: BinaryIO) -> int:
        import fcntl

        answer.write(b"answer")
        answer.flush()
        fcntl.fcntl(answer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        os._exit(0)

    assert ended(fresh, work)[:3] == (0, False, b"answer")
