"""The commands in the documents are commands that exist, with options that exist."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Package

SCRIPTS = Path(sysconfig.get_path("scripts"))
OURS = "scaler-batch-"
BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, order=True)
class Command:
    """One call of a script of ours, as a document shows it."""

    document: str
    words: tuple[str, ...]

    @property
    def called(self) -> tuple[str, ...]:
        """The script and its subcommand."""
        return self.words[:1] + tuple(word for word in self.words[1:2] if re.fullmatch("[a-z][a-z-]*", word))

    @property
    def options(self) -> set[str]:
        return {word.partition("=")[0] for word in self.words if re.match("--?[a-z]", word)}


def test_the_commands_in_documents_take_the_options_shown(texts: dict[str, str], packages: list[Package]) -> None:
    scripts = {script for package in packages for script in package.project.get("scripts", {})}
    shown = [command for name, text in texts.items() if name.endswith(".md") for command in commands(name, text)]
    ours = [command for command in shown if command.words[0] in scripts]

    assert ours
    unknown = {
        (command.document, command.called, option)
        for command in ours
        for option in command.options
        if option not in offered(command.called)
    }
    assert unknown == set()


def test_the_setup_guide_names_scripts_that_exist(texts: dict[str, str], packages: list[Package]) -> None:
    scripts = {script for package in packages for script in package.project.get("scripts", {})}
    guide = {command.words[0] for name, text in texts.items() if "/guide/" in name for command in commands(name, text)}

    assert {word for word in guide if word.startswith("scaler-batch-")} - scripts == set()


def test_every_script_answers_a_cry_for_help(package: Package) -> None:
    for script in package.project.get("scripts", {}):
        assert "usage" in help_text((script,)).lower(), script


def test_what_is_installed_from_a_clone_brings_all_siblings_that_it_needs(
    texts: dict[str, str], packages: list[Package]
) -> None:
    """No index has them: pip would look there for one that is not named."""
    needs = {
        package.name: {re.split(r"[\[>=<]", one)[0] for one in package.project["dependencies"] if one.startswith(OURS)}
        for package in packages
    }
    shown = [command for name, text in texts.items() if name.endswith(".md") for command in commands(name, text)]
    lacking = {
        (command.document, missing)
        for command in shown
        if "install" in command.words
        for name in local_packages(command)
        for missing in needs[name] - {OURS + other for other in local_packages(command)}
    }
    assert any(local_packages(command) for command in shown)
    assert lacking == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```bash\na-script run --x 1 &\n```\n", [("a-script", "run", "--x", "1")]),
        ("```bash\n# a comment\na-script \\\n    --x=1 \\\n    -q\n```\n", [("a-script", "--x=1", "-q")]),
        ("no block: a-script --x\n", []),
    ],
)
def test_the_finder_of_commands_finds_them(text: str, expected: list[tuple[str, ...]]) -> None:
    assert [command.words for command in commands("page.md", text)] == expected


def local_packages(command: Command) -> set[str]:
    """The folders of packages that a command names."""
    return set(re.findall(r"packages/([a-z]+)", " ".join(command.words)))


def commands(document: str, text: str) -> list[Command]:
    """Every command line in the shell blocks of a document."""
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    split = [
        shlex.split(line.strip().removeprefix("$ ").rstrip("& "), comments=True) for line in lines if balanced(line)
    ]
    return [Command(document, tuple(words)) for words in split if words]


def balanced(line: str) -> bool:
    """Tell a whole command from a line of a here-document or of a quoted program."""
    return line.count('"') % 2 == 0 and line.count("'") % 2 == 0


def offered(called: tuple[str, ...]) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", help_text(called)))


@functools.cache
def help_text(called: tuple[str, ...]) -> str:
    script, *rest = called
    done = subprocess.run([SCRIPTS / script, *rest, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
