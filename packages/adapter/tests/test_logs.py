from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.logs import RUN, start_logging
from scaler_batch.adapter.settings import LogSettings


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, factory = list(root.handlers), root.level, logging.getLogRecordFactory()
    root.handlers.clear()  # `force` closes what it finds, and these are pytest's
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


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


def test_the_libraries_below_show_no_requests_where_everything_is_asked_for(tmp_path: Path) -> None:
    log_into(tmp_path / "log", level="DEBUG")
    logging.getLogger("botocore.endpoint").debug("Authorization")
    logging.getLogger("a").debug("shown")
    assert (tmp_path / "log").read_text().endswith(" DEBUG   a: shown\n")
    assert "Authorization" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("private", [True, False])
def test_what_exceptions_say_is_left_out_where_data_are_private(tmp_path: Path, form: str, private: bool) -> None:
    start_logging(LogSettings("INFO", form, (str(tmp_path / "log"),), private=private))  # type: ignore[arg-type]
    secret = " ".join(("what", "the", "task", "knows"))  # not as the line of source that a traceback shows
    try:
        raise ValueError(secret) from KeyError(secret)
    except ValueError:
        logging.getLogger("a").exception("failed")
    written = (tmp_path / "log").read_text()
    assert (secret in written) is not private
    assert "ValueError" in written
    assert "test_logs.py" in written  # where it happened


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_are_known_by_the_names_of_their_files(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(LogSettings(paths=(f"/dev/{stream}",)))
    logging.getLogger("a").info("hello")
    assert "hello" in getattr(capsys.readouterr(), stream[3:])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the log .*nowhere.log cannot be written: No such file"):
        log_into(tmp_path / "no" / "nowhere.log")


CONFIG = """
[loggers]
keys = root,quiet
[handlers]
keys = file
[formatters]
keys = own,json
[logger_root]
level = INFO
handlers = file
[logger_quiet]
level = ERROR
handlers =
qualname = quiet
[handler_file]
class = FileHandler
args = ("log",)
formatter = {formatter}
[formatter_own]
format = %(run)s %(message)s
[formatter_json]
class = scaler_batch.adapter.logs.JsonFormatter
"""

PROGRAM = """
import logging
from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.logs import RUN, start_logging
from scaler_batch.adapter.settings import LogSettings

early = logging.getLogger("early")
try:
    start_logging(LogSettings(level="CRITICAL", file="logging.conf"))
except SettingsError as error:
    print(error)
RUN.set("run-1")
early.info("hello")
logging.getLogger("quiet").info("not shown")
"""


def run_with(folder: Path, config: str | None) -> str:
    """What a program says that takes its settings from a file; in a process of its own, which keeps them."""
    if config is not None:
        (folder / "logging.conf").write_text(config)
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(("formatter", "line"), [("own", "run-1 hello"), ("json", '"run": "run-1"')])
def test_a_file_of_pythons_own_decides_in_place_of_the_options(tmp_path: Path, formatter: str, line: str) -> None:
    assert run_with(tmp_path, CONFIG.format(formatter=formatter)) == ""
    (written,) = (tmp_path / "log").read_text().splitlines()
    assert line in written


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "logging.conf cannot be used: No such file or directory (logging_config_file)\n"),
        ("nothing", "logging.conf is not a file of logging.config: "),
        ("[loggers]\nkeys = root", "logging.conf is not a file of logging.config: "),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_named(tmp_path: Path, config: str | None, said: str) -> None:
    assert run_with(tmp_path, config).startswith(said)
