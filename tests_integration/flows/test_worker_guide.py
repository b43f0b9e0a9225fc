"""The guide, followed word for word on the local AWS: its commands are read from its page and run by a shell.

What differs from a reader's machine is said here. The environments that Steps 1 and 3 make are there already, the
provisioner is told of an image so that it builds none, and the ports are free ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from scaler_batch.adapter.options import OPTIONS
from stack import Stack, free_port

PAGES = Path(__file__).parents[2] / "docs"
GUIDE = PAGES / "guide" / "setup.md"
HOW_TO = PAGES / "how-to" / "run-a-worker.md"

NOT_RUN = {
    "Resources you already have": "an alternative to Step 1; the file's form is what the provisioner writes",
    "Step 2: Start the development container": "needs Docker",
    "Option A: static credentials in a file": "needs Docker",
    "Option B: single sign-on, assumed roles, helper programs": "needs Docker",
    "Step 3: Install": "asks a package index; the environment of this test has it all",
    "When something goes wrong": "diagnosis; the provisioner's own tests run it",
}


USE = "python program.py"


@dataclass(frozen=True)
class Block:
    """A code block of the guide."""

    section: str
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    section, pattern = "", re.compile(r"^#+ ([^\n]+)$|^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for heading, language, text in pattern.findall(page.read_text()):
        section = heading or section
        if language:
            yield Block(section, language, text)


def shell_of(section: str) -> list[str]:
    return [block.text for block in blocks(GUIDE) if block.language == "bash" and block.section.startswith(section)]


@pytest.fixture(scope="module")
def desk(cloud: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader has it after installing."""
    folder = tmp_path_factory.mktemp("guide")
    for environment in (".venv", ".venv-provision"):
        (folder / environment / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").write_text(f'export PATH="{Path(sys.executable).parent}:$PATH"\n')
    provisioner = folder / ".venv-provision" / "bin" / "scaler-batch-provision"
    provisioner.write_text(f'#!/bin/sh\nexec {sys.executable} -m scaler_batch.provision "$@" $MORE --yes\n')
    provisioner.chmod(0o755)
    return folder


def run(desk: Path, cloud: Stack, program: str, *, ports: tuple[int, int] = (0, 0), **environment: str) -> str:
    program = program.replace("2345", str(ports[0])).replace("2346", str(ports[1]))
    shell = subprocess.Popen(
        ["bash", "-c", f"set -e -m\n{program}"],
        cwd=desk,
        env={**cloud.environment, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = shell.communicate(timeout=120)
    finally:
        if shell.poll() is None:
            for process in (*psutil.Process(shell.pid).children(recursive=True), shell):
                process.kill()
    assert shell.returncode == 0, said
    return said


def test_every_command_of_the_guide_is_run_or_said_not_to_be() -> None:
    run_here = ("Step 1", "Step 4", "Step 5", "Step 6", "Clean up")
    sections = {block.section for block in blocks(GUIDE) if block.language == "bash"}
    assert {section for section in sections if not section.startswith(run_here)} == set(NOT_RUN)


def test_the_guide_works_word_for_word(desk: Path, cloud: Stack) -> None:
    (made,) = shell_of("Step 1")
    provision = made.partition("\n\n")[2]
    assert provision.startswith(".venv-provision/bin/scaler-batch-provision provision")
    with_prefix = provision.replace("--prefix scaler-batch", "--prefix guide")
    run(desk, cloud, with_prefix, MORE="--image local/scaler-batch")
    assert {".scaler_aws_hpc.env", ".scaler_aws_batch_config.json"} <= {path.name for path in desk.iterdir()}

    start, toml_start = shell_of("Step 4")
    (test,) = shell_of("Step 5")
    (stop,) = shell_of("Step 6")
    (python,) = [block.text for block in blocks(GUIDE) if block.language == "python" and "Step 7" in block.section]
    ports = (free_port(), free_port())
    (desk / "program.py").write_text(python.replace("2345", str(ports[0])))
    said = run(desk, cloud, f"{start}\n{into('test', test)}\n{into('program', USE)}\n{stop}\nwait", ports=ports)
    assert "registered with the scheduler" in said
    assert (desk / "test.txt").read_text() == expected_output(ports[0])
    assert (desk / "program.txt").read_text() == "3\n[3, 7, 11]\n"

    # The same settings in a file.
    (toml,) = [block.text for block in blocks(GUIDE) if block.language == "toml"]
    names = dict(re.findall(r'export (\w+)="(.*)"', (desk / ".scaler_aws_hpc.env").read_text()))
    ports = (free_port(), free_port())
    for shown, real in (
        ("2345", str(ports[0])),  # first: the bucket's name has these digits, too
        ("my-scaler-queue", names["SCALER_JOB_QUEUE"]),
        ("my-scaler-job-def", names["SCALER_JOB_DEFINITION"]),
        ("my-scaler-tasks-bucket", names["SCALER_S3_BUCKET"]),
    ):
        assert shown in toml
        toml = toml.replace(shown, real)
    (desk / "config.toml").write_text(toml)
    before = start.partition("source .scaler_aws_hpc.env")[0]
    run(desk, cloud, f"{before}\n{toml_start.rstrip()} &\n{into('test', test)}\n{stop}\nwait", ports=ports)
    assert (desk / "test.txt").read_text() == expected_output(ports[0])

    (clean,) = shell_of("Clean up")
    run(desk, cloud, clean.replace("--prefix scaler-batch", "--prefix guide"))
    assert not (desk / ".scaler_aws_hpc.env").exists()


def into(name: str, commands: str) -> str:
    """The same commands, with what they print in a file, apart from what runs in the background."""
    return f"{{ {commands.strip()}\n}} > {name}.txt"


def expected_output(port: int) -> str:
    (shown,) = [block.text for block in blocks(GUIDE) if block.language == "text" and "Step 5" in block.section]
    return shown.replace("2345", str(port))


# What the pages show of the command line


def shown(page: Path, command: str) -> str:
    """What a page says that a command prints."""
    (found,) = [
        block.text.partition("\n")[2]
        for block in blocks(page)
        if block.language == "console" and command in block.text.partition("\n")[0]
    ]
    return found


def printed(folder: Path, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_help_on_the_page_is_the_help(tmp_path: Path) -> None:
    assert shown(HOW_TO, "--help") == printed(tmp_path, "--help")


def test_the_wrong_values_on_the_page_are_said_so(tmp_path: Path) -> None:
    options = (
        "--scheduler-address",
        "tcp://127.0.0.1:2345",
        "-q",
        "queue",
        "-d",
        "definition",
        "--s3-bucket",
        "bucket",
    )
    said = printed(tmp_path, *options, "-mcj", "0", SCALER_BATCH_TRANSPORT="pigeon")
    assert sorted(shown(HOW_TO, "pigeon").splitlines()) == sorted(said.splitlines())


def test_the_wrong_name_on_the_page_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[aws_hpc_worker_adapter]\njob_que = "queue"\n')
    assert shown(HOW_TO, "scaler-batch-worker --config config.toml") == printed(tmp_path, "--config", "config.toml")


def test_the_table_of_the_guide_has_every_option_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| (`--.+?`) \| (.+?) \|", GUIDE.read_text().partition("### scaler-batch-worker")[2], re.M)
    )
    for option in OPTIONS:
        names = ", ".join(f"`{flag}`" for flag in option.flags)
        assert rows[names].replace("`", "") == option.standard
