"""Which wheels the image is made of: two of ours, and what they need, locked by version and hash.

Ours are named by a list of hashes, ``SHA256SUMS``, as ``sha256sum`` writes it: from it come their exact file names, so
versions, and what they must hash to. What else lies in the folder, however new, is not looked at, and no index is asked
for our names unless the user says so. What they need is fetched by pip when the image is built, never before: the tag
follows from the lock, so whether there is anything to build is known without it.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scaler_batch.provision.errors import EngineError, SettingsError
from scaler_batch.provision.image_reference import ImageReference
from scaler_batch.provision.instance_types import Architecture
from scaler_batch.provision.resources.repository import TAG_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

DEFAULT_PYTHON: Final = "3.12"
PYTHONS: Final = ("3.11", "3.12", "3.13")
DEFAULT_WHEELS: Final = Path("wheelhouse")
"""Where a clone of the repository has them after ``nox -s build``."""

HASHES: Final = "SHA256SUMS"
"""Beside the wheels, unless the user names another list."""

PAYLOAD: Final = "scaler-batch-payload"
RUNNER: Final = "scaler-batch-runner"

_EXTRAS: Final = {PAYLOAD: "[s3]", RUNNER: ""}
_PLATFORMS: Final[Mapping[Architecture, tuple[str, ...]]] = {
    Architecture.AMD64: ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64"),
    Architecture.ARM64: ("manylinux_2_28_aarch64", "manylinux_2_24_aarch64", "manylinux_2_17_aarch64"),
}
"""What the images ``python:…-slim`` can load, as pip names it."""

_REQUIREMENTS: Final = "requirements.txt"
_LINE: Final = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?:\./)?(?P<file>[A-Za-z0-9_.+-]+\.whl)")
_MOST_BYTES: Final = 1 << 20
"""Of a list of hashes."""


@dataclass(frozen=True, slots=True)
class NamedWheel:
    """A wheel of ours, as a list of hashes names it.

    Attributes:
        file: Name of the file, and so distribution and version.
        digest: SHA-256 of its bytes, in hexadecimal digits.
    """

    file: str
    digest: str

    @property
    def name(self) -> str:
        """The distribution."""
        return self.file.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        """The version."""
        return self.file.split("-")[1]

    @property
    def requirement(self) -> str:
        """The wheel as a line of requirements has it: exactly this version, exactly these bytes."""
        return f"{self.name}{_EXTRAS[self.name]}=={self.version} \\\n    --hash=sha256:{self.digest}\n"


@dataclass(frozen=True, slots=True)
class Context:
    """What an image is built from.

    Attributes:
        python: Version of the base image's Python, such as ``3.12``.
        folder: Where our wheels lie.
        payload: Wheel of the payload package.
        runner: Wheel of the runner.
        base: Reference of the base image.
        architecture: Of the processors that the image is for.
    """

    python: str
    folder: Path
    payload: NamedWheel
    runner: NamedWheel
    base: str
    architecture: Architecture = Architecture.AMD64

    @property
    def tag(self) -> str:
        """The image's tag: versions for the reader, and a hash of all that goes in."""
        parts = (self.python, self.architecture, self.base, dockerfile().read_text(), self.requirements)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return f"{TAG_PREFIX}{self.runner.version}-py{self.python}-{self.architecture}-{digest[:12]}"

    @property
    def requirements(self) -> str:
        """All wheels with their hashes."""
        return lock().read_text() + self.payload.requirement + self.runner.requirement

    def arguments(self, base: str) -> dict[str, str]:
        """What the Dockerfile is told.

        Args:
            base: Reference of the base image, by digest.
        """
        return {
            "BASE_IMAGE": base,
            "IMAGE_PYTHON": self.python,
            "RUNNER_VERSION": self.runner.version,
            "PAYLOAD_VERSION": self.payload.version,
        }

    def lay_out(self, folder: Path) -> None:
        """Put all wheels and their hashes into an empty folder.

        Raises:
            EngineError: pip cannot fetch what is locked.
            SettingsError: A wheel of ours is no longer what it was.
        """
        locked = ("--no-deps", "--require-hashes", "--requirement", str(lock()))
        _fetch(self.python, self.architecture, folder, "--find-links", str(self.folder), *locked)
        for wheel in (self.payload, self.runner):
            (folder / wheel.file).write_bytes(_read(self.folder, wheel))
        (folder / _REQUIREMENTS).write_text(self.requirements)


def dockerfile() -> Traversable:
    """The Dockerfile."""
    return files(__package__) / "Dockerfile"


def lock() -> Traversable:
    """What is in the image besides our own wheels."""
    return files(__package__) / _REQUIREMENTS


def base_image(python: str) -> str:
    """The base image for a Python: by its digest, where the table has one."""
    table: dict[str, str] = json.loads((files(__package__) / "bases.json").read_text())
    return table[python]


def check_base(reference: str) -> None:
    """See that a base image that the user names cannot become another one.

    Raises:
        SettingsError: It is not named by its digest.
    """
    parsed = ImageReference.parse(reference)
    if parsed is None or not parsed.digest:
        fix = "pass --base-image NAME@sha256:DIGEST; `docker buildx imagetools inspect NAME:TAG` tells the digest"
        raise SettingsError(f"{reference!r} does not name an image by its digest", fix=fix)


def find(
    folder: Path | None,
    python: str,
    architecture: Architecture = Architecture.AMD64,
    *,
    hashes: Path | None = None,
    from_index: bool = False,
    base: str | None = None,
) -> Context:
    """Find our wheels: in a folder, or, only where that is asked for, on the index that pip is set up for.

    Args:
        folder: Holds the wheels; without it the wheelhouse of a clone.
        python: The image's Python.
        architecture: Of the processors that the image is for.
        hashes: The list of hashes; without it that in the folder.
        from_index: Fetch what the list names from the index.
        base: The base image, by its digest; without it that of the table.

    Raises:
        SettingsError: The folder does not hold what the list names, or there is no list.
        EngineError: The index does not have it.
    """
    if python not in PYTHONS:
        fix = f"pass --python with one of {', '.join(PYTHONS)}, the one that your clients run"
        raise SettingsError(f"no image is made with Python {python}", fix=fix)
    if base is not None:
        check_base(base)
    if from_index:
        named = named_in(_needed(hashes))
        place = _fetched(python, named)
    else:
        place = _existing(folder or DEFAULT_WHEELS)
        named = named_in(hashes or place / HASHES)
    for wheel in named:
        _read(place, wheel)
    return Context(python, place, *named, base or base_image(python), architecture)


def named_in(hashes: Path) -> tuple[NamedWheel, NamedWheel]:
    """Read which wheels of payload and runner a list of hashes names.

    Raises:
        SettingsError: There is no such list, or it does not name each exactly once.
    """
    try:
        with hashes.open("rb") as file:
            lines = file.read(_MOST_BYTES).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the hashes of our wheels, {hashes}: {error}", fix=_HOW_TO_BUILD) from error
    wheels = [NamedWheel(match["file"], match["digest"]) for match in map(_LINE.fullmatch, lines) if match]
    return _only(wheels, PAYLOAD, hashes), _only(wheels, RUNNER, hashes)


def _only(wheels: list[NamedWheel], name: str, hashes: Path) -> NamedWheel:
    found = [wheel for wheel in wheels if wheel.name == name]
    if len(found) != 1:
        message = f"{hashes} names {len(found)} wheels of {name}, and one is needed"
        raise SettingsError(message, fix=_HOW_TO_BUILD)
    return found[0]


def _read(folder: Path, wheel: NamedWheel) -> bytes:
    """The bytes of a wheel, which are those that the list names."""
    try:
        content = (folder / wheel.file).read_bytes()
    except OSError as error:
        raise SettingsError(f"there is no {wheel.file} in {folder}", fix=_HOW_TO_BUILD) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != wheel.digest:
        raise SettingsError(
            f"{folder / wheel.file} is not what the list of hashes names: its SHA-256 is {digest}, not {wheel.digest}",
            fix="find out who changed it; build it anew, or fetch it from where the list came from",
        )
    return content


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder} with wheels of {PAYLOAD} and {RUNNER}", fix=_HOW_TO_BUILD)
    return folder


def _needed(hashes: Path | None) -> Path:
    if hashes is None:
        fix = f"pass --hashes with the {HASHES} of the release: anybody can put our names on an index"
        raise SettingsError("what comes from an index has to be known by its hashes", fix=fix)
    return hashes


def _fetched(python: str, named: Sequence[NamedWheel]) -> Path:
    """Fetch our two wheels into a folder that lasts as long as this process: they are read once more to build."""
    folder = Path(tempfile.mkdtemp(prefix="scaler-batch-wheels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wanted = folder / _REQUIREMENTS
    wanted.write_text("".join(wheel.requirement for wheel in named))
    locked = ("--no-deps", "--require-hashes", "--requirement", str(wanted))
    _fetch(python, Architecture.AMD64, folder, *locked)
    return folder


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
    f"./packages/runner && (cd wheelhouse && sha256sum *.whl > {HASHES}), and pass --wheels wheelhouse; or pass "
    f"--from-index --hashes with the {HASHES} of a release; or name a ready image with --image"
)
