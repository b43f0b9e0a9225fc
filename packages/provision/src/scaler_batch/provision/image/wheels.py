"""Which wheels the image is made of: two of ours, and what they need, locked by version and hash.

Ours come from a folder, or from the index that pip is set up for. What they need is fetched by pip when the image is
built, never before: the tag follows from the lock, so whether there is anything to build is known without it.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scaler_batch.provision.errors import EngineError, SettingsError
from scaler_batch.provision.instance_types import Architecture
from scaler_batch.provision.resources.repository import TAG_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

DEFAULT_PYTHON: Final = "3.12"
PYTHONS: Final = ("3.11", "3.12", "3.13")
DEFAULT_WHEELS: Final = Path("wheelhouse")
"""Where a clone of the repository has them after ``nox -s build``."""

PAYLOAD: Final = "scaler-batch-payload"
RUNNER: Final = "scaler-batch-runner"
RELEASES: Final = ">=0.1,<0.2"
"""Of both: those that write and read what this release does."""

_EXTRAS: Final = {PAYLOAD: "[s3]", RUNNER: ""}
_PLATFORMS: Final[Mapping[Architecture, tuple[str, ...]]] = {
    Architecture.AMD64: ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64"),
    Architecture.ARM64: ("manylinux_2_28_aarch64", "manylinux_2_24_aarch64", "manylinux_2_17_aarch64"),
}
"""What the images ``python:…-slim`` can load, as pip names it."""

_REQUIREMENTS: Final = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of ours."""

    path: Path

    @property
    def name(self) -> str:
        """The distribution, from the name of the file."""
        return self.path.name.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        """The version, from the name of the file."""
        return self.path.name.split("-")[1]

    @property
    def requirement(self) -> str:
        """The wheel as a line of requirements has it: exactly this version, exactly these bytes."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return f"{self.name}{_EXTRAS[self.name]}=={self.version} \\\n    --hash=sha256:{digest}\n"


@dataclass(frozen=True, slots=True)
class Context:
    """What an image is built from.

    Attributes:
        python: Version of the base image's Python, such as ``3.12``.
        payload: Wheel of the payload package.
        runner: Wheel of the runner.
        architecture: Of the processors that the image is for.
    """

    python: str
    payload: Wheel
    runner: Wheel
    architecture: Architecture = Architecture.AMD64

    @property
    def tag(self) -> str:
        """The image's tag: versions for the reader, and a hash of all that goes in."""
        content = f"{self.python}\n{self.architecture}\n{dockerfile().read_text()}\n{self.requirements}"
        digest = hashlib.sha256(content.encode()).hexdigest()
        return f"{TAG_PREFIX}{self.runner.version}-py{self.python}-{self.architecture}-{digest[:12]}"

    @property
    def requirements(self) -> str:
        """All wheels with their hashes."""
        return lock().read_text() + self.payload.requirement + self.runner.requirement

    @property
    def arguments(self) -> dict[str, str]:
        """What the Dockerfile is told."""
        return {
            "PYTHON_VERSION": self.python,
            "RUNNER_VERSION": self.runner.version,
            "PAYLOAD_VERSION": self.payload.version,
        }

    def lay_out(self, folder: Path) -> None:
        """Put all wheels and their hashes into an empty folder.

        Raises:
            EngineError: pip cannot fetch what is locked.
        """
        beside = str(self.runner.path.parent)
        locked = ("--no-deps", "--require-hashes", "--requirement", str(lock()))
        _fetch(self.python, self.architecture, folder, "--find-links", beside, *locked)
        for wheel in (self.payload, self.runner):
            (folder / wheel.path.name).write_bytes(wheel.path.read_bytes())
        (folder / _REQUIREMENTS).write_text(self.requirements)


def dockerfile() -> Traversable:
    """The Dockerfile."""
    return files(__package__) / "Dockerfile"


def lock() -> Traversable:
    """What is in the image besides our own wheels."""
    return files(__package__) / _REQUIREMENTS


def find(folder: Path | None, python: str, architecture: Architecture = Architecture.AMD64) -> Context:
    """Find our wheels in a folder, or, without one, fetch them from the index into a place of their own.

    Raises:
        SettingsError: The folder does not hold them.
        EngineError: The index does not have them.
    """
    if python not in PYTHONS:
        fix = f"pass --python with one of {', '.join(PYTHONS)}, the one that your clients run"
        raise SettingsError(f"no image is made with Python {python}", fix=fix)
    where = folder or (DEFAULT_WHEELS if DEFAULT_WHEELS.is_dir() else _fetched(python))
    return Context(python, _newest(where, PAYLOAD), _newest(where, RUNNER), architecture)


def _fetched(python: str) -> Path:
    """Fetch our two wheels into a folder that lasts as long as this process: they are read once more to build."""
    folder = Path(tempfile.mkdtemp(prefix="scaler-batch-wheels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _fetch(python, Architecture.AMD64, folder, "--no-deps", f"{PAYLOAD}{RELEASES}", f"{RUNNER}{RELEASES}")
    return folder


def _newest(folder: Path, name: str) -> Wheel:
    found = sorted(_wheels(folder, name), key=lambda wheel: (wheel.path.stat().st_mtime_ns, wheel.path.name))
    if not found:
        raise SettingsError(f"there is no wheel of {name} in {folder}", fix=_HOW_TO_BUILD)
    return found[-1]


def _wheels(folder: Path, name: str) -> Iterator[Wheel]:
    return (Wheel(path) for path in folder.glob(f"{name.replace('-', '_')}-*.whl"))


def _fetch(python: str, architecture: Architecture, folder: Path, *what: str) -> None:
    """Have pip fetch wheels for a Python and a system that need not be these."""
    platforms = [word for platform in _PLATFORMS[architecture] for word in ("--platform", platform)]
    chosen = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms]
    _run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *chosen, *what])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise EngineError(f"pip cannot fetch the wheels of the image: {reason}", fix=_HOW_TO_BUILD)


_HOW_TO_BUILD: Final = (
    "in a clone of the repository: python -m pip wheel --no-deps --wheel-dir wheelhouse ./packages/payload "
    "./packages/runner, and pass --wheels wheelhouse; or name a ready image with --image"
)
