from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from scaler_batch.runner import log


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.line("task", function="a\nb", seconds=0.5)
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert json.loads(written) == {"event": "task", "function": "a\nb", "seconds": 0.5}


def test_after_the_first_line_each_has_its_word_and_begins_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.begin()
    sys.stderr.write("progress 100%")
    log.line("task")
    log.begin()
    first, progress, second, other = [line for line in capsys.readouterr().err.split("\n") if line]
    mark = json.loads(first)["mark"]
    assert json.loads(first) == {"event": "runner", "mark": mark}
    assert (progress, json.loads(second)) == ("progress 100%", {"event": "task", "mark": mark})
    assert json.loads(other)["mark"] != mark
    assert len(mark) == 32


def test_a_process_that_has_lost_the_word_says_nothing_in_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    log.begin()
    log.forget()
    log.line("task")
    assert [*json.loads(capsys.readouterr().err.splitlines()[1])] == ["event"]


@pytest.fixture(autouse=True)
def no_word_left() -> Iterator[None]:
    log.forget()
    yield
    log.forget()


class Full:
    """A disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full()])
def test_a_stream_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch, stream: object) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    log.line("task")
