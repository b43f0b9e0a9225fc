"""The env file: written for shells, read back from whatever hand wrote it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.provision import FileError, Handover, SettingsError, read_env, write_env
from scaler_batch.provision.handover import VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

HANDOVER = Handover("us-east-1", "bucket", "queue", "definition")
NASTY = Handover('a"b', "$HOME `id`", "\\ \\\\ '", "!! ${x} #; &")
printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


def test_the_lines_are_those_of_the_guide() -> None:
    assert HANDOVER.to_shell() == (
        'export SCALER_AWS_REGION="us-east-1"\n'
        'export SCALER_S3_BUCKET="bucket"\n'
        'export SCALER_JOB_QUEUE="queue"\n'
        'export SCALER_JOB_DEFINITION="definition"\n'
    )


def test_a_payload_key_is_a_line_more() -> None:
    handover = replace(HANDOVER, payload_key="ssm:/scaler-batch/payload-key")
    assert handover.to_shell() == HANDOVER.to_shell() + 'export SCALER_PAYLOAD_KEY="ssm:/scaler-batch/payload-key"\n'


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("handover", [HANDOVER, NASTY])
def test_a_shell_reads_what_was_written(shell: str, handover: Handover, tmp_path: Path) -> None:
    interpreter = shutil.which(shell)
    if interpreter is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "env"
    write_env(path, handover)
    script = f'. "{path}"; for name in {" ".join(VARIABLES)}; do eval "printf \'%s\\n\' \\"\\$$name\\""; done'
    found = subprocess.run([interpreter, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == list(handover.environment().values())


@settings(max_examples=200)
@given(st.builds(Handover, printable, printable, printable, printable, st.just("") | printable))
def test_what_is_written_is_read_back(handover: Handover) -> None:
    assert Handover.from_shell(handover.to_shell()) == handover


@pytest.mark.parametrize("value", ["two\nlines", "nul\0", "tab\t", "\u2028"])
def test_values_that_no_line_can_carry_are_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="control characters"):
        Handover("r", value, "q", "d").to_shell()


def test_a_file_written_by_hand_is_read() -> None:
    text = """
        # our own infrastructure
        export SCALER_AWS_REGION='us-east-1'
        SCALER_S3_BUCKET=bucket   # made by hand
        export OTHER="x"
          export SCALER_JOB_QUEUE="queue" # a comment
        export SCALER_JOB_DEFINITION=arn:aws:batch:us-east-1:123456789012:job-definition/d:3
    """
    assert Handover.from_shell(text).environment() == {
        "SCALER_AWS_REGION": "us-east-1",
        "SCALER_S3_BUCKET": "bucket",
        "SCALER_JOB_QUEUE": "queue",
        "SCALER_JOB_DEFINITION": "arn:aws:batch:us-east-1:123456789012:job-definition/d:3",
    }


@pytest.mark.parametrize(
    "line",
    [
        "if true; then",
        'SCALER_S3_BUCKET="unfinished',
        "SCALER_S3_BUCKET=a b",
        "SCALER_S3_BUCKET=$HOME",
        'SCALER_S3_BUCKET="$HOME"',
        'SCALER_S3_BUCKET="`id`"',
        'SCALER_S3_BUCKET="\\\\$HOME"',
        "SCALER_S3_BUCKET=a; rm -rf /",
        "SCALER_S3_BUCKET = a",
        "1=2",
    ],
)
def test_lines_that_only_a_shell_could_read_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not an assignment|expand"):
        Handover.from_shell(f"{HANDOVER.to_shell()}{line}\n")


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("SCALER_AWS_REGION=us-east-1\nSCALER_S3_BUCKET=\n")
    with pytest.raises(FileError, match="SCALER_S3_BUCKET, SCALER_JOB_QUEUE, SCALER_JOB_DEFINITION not set"):
        read_env(path)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        Handover.from_shell(text)


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "env"
    write_env(path, HANDOVER)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    write_env(path, HANDOVER)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
