"""The closing line of a whole run: what it counts, and that a run which broke down never looks like a good one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PASSED = '<testcase name="a"/>'
FAILED = '<testcase name="b"><failure>no</failure></testcase>'
BROKEN = '<testcase name="c"><error>no fixture</error></testcase>'
SKIPPED = '<testcase name="d"><skipped/></testcase>'


def run(root: Path, *reports: Path) -> tuple[str, int]:
    """Return the last line and the exit status."""
    done = subprocess.run([sys.executable, root / ".ci" / "totals.py", *reports], capture_output=True, text=True)
    return done.stdout.splitlines()[-1], done.returncode


def write(path: Path, *cases: str) -> Path:
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return path


@pytest.mark.parametrize(
    ("cases", "line", "status"),
    [
        ([PASSED, PASSED], "2 passed, 0 failed", 0),
        ([PASSED, SKIPPED], "1 passed, 0 failed, 1 skipped", 0),
        ([PASSED, FAILED], "1 passed, 1 failed", 1),
        ([PASSED, BROKEN], "1 passed, 1 failed", 1),
        ([SKIPPED], "0 passed, 0 failed, 1 skipped", 1),
        ([], "0 passed, 0 failed", 1),
    ],
)
def test_one_report_is_counted(root: Path, tmp_path: Path, cases: list[str], line: str, status: int) -> None:
    assert run(root, write(tmp_path / "unit.xml", *cases)) == (line, status)


def test_reports_are_added_up(root: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "first.xml", PASSED, PASSED)
    second = write(tmp_path / "second.xml", PASSED, SKIPPED)

    assert run(root, first, second) == ("3 passed, 0 failed, 1 skipped", 0)


def test_a_run_that_left_no_report_has_failed(root: Path, tmp_path: Path) -> None:
    assert run(root, write(tmp_path / "first.xml", PASSED), tmp_path / "missing.xml") == ("1 passed, 1 failed", 1)


def test_no_report_at_all_is_no_success(root: Path) -> None:
    assert run(root) == ("0 passed, 0 failed", 1)
