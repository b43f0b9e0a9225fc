from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.logs import RUN, start_logging
from scaler_batch.adapter.settings import LogSettings


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()  # `force` closes what it finds, and these are pytest's
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def log_into(path: Path, *, form: str = "text", level: str = "INFO") -> None:
    start_logging(LogSettings(level, form, (str(path),)))  # type: ignore[arg-type]


def test_json_has_the_ids_by_which_lines_are_found_again(tmp_path: Path) -> None:
    log_into(tmp_path / "log", form="json")
    token = RUN.set("run-1")
    logging.getLogger("a").info("task %s", "x", extra={"task": "t1", "job": "j1"})
    RUN.reset(token)
    logging.getLogger("b").warning("no task")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("INFO", "a", "task x")
    assert (first["run"], first["task"], first["job"]) == ("run-1", "t1", "j1")
    assert set(second) == {"time", "level", "logger", "message"}


def test_an_exception_stays_on_its_line(tmp_path: Path) -> None:
    log_into(tmp_path / "log", form="json")
    try:
        raise KeyError("lost")
    except KeyError:
        logging.getLogger("a").exception("failed")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "KeyError" in json.loads(line)["traceback"]


def test_text_is_a_line_for_people(tmp_path: Path) -> None:
    log_into(tmp_path / "log")
    logging.getLogger("a").info("hello")
    logging.getLogger("a").debug("not shown")
    logging.getLogger("botocore.x").info("not shown either")
    assert (tmp_path / "log").read_text().endswith(" INFO    a: hello\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_are_known_by_the_names_of_their_files(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(LogSettings(paths=(f"/dev/{stream}",)))
    logging.getLogger("a").info("hello")
    assert "hello" in getattr(capsys.readouterr(), stream[3:])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the log .*nowhere.log cannot be written: No such file"):
        log_into(tmp_path / "no" / "nowhere.log")
