from __future__ import annotations

import json
import sys

import pytest

from scaler_batch.runner import log


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.line("task", function="a\nb", seconds=0.5)
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert json.loads(written) == {"event": "task", "function": "a\nb", "seconds": 0.5}


class Full:
    """A disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full()])
def test_a_stream_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch, stream: object) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    log.line("task")
