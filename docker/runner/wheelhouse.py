"""The wheels that the runner's image is made of: which they are, and the folder that holds them.

::

    lock     our two wheels ─► what they declare, for every Python and architecture ─► requirements.txt  (`nox -s lock`)
    gather   requirements.txt, our two wheels ─► a folder with wheels and their hashes     (before every build)

``requirements.txt`` names everything that is not ours by exact version and hash, so two builds install the same bytes
and an index that gives out others is found out. It is to be made anew when what our wheels declare has changed, or
newer versions are wanted. Our own wheels are built from the checkout; their hashes are taken when they are gathered.
The folder is the build's whole context: the build itself fetches nothing.

Only the standard library and pip are needed.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {
    "amd64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux_2_24_aarch64", "manylinux_2_17_aarch64"),
}
"""What the images `python:…-slim` can load, by processor architecture, as pip names it."""

LOCK = Path(__file__).with_name("requirements.txt")
EXTRAS = {"scaler-batch-payload": "[s3]"}
HEADER = """\
# What the runner's image holds besides our own wheels. Written by `nox -s lock`; do not edit.
"""


def lock(wheels: Sequence[Path]) -> None:
    """Write down the newest versions that our wheels go with, and their hashes."""
    wanted = [f"{wheel}{EXTRAS.get(name_of(wheel), '')}" for wheel in wheels]
    pinned: dict[str, set[str]] = {}
    for python, architecture in itertools.product(PYTHONS, PLATFORMS):
        with tempfile.TemporaryDirectory() as folder:
            download(python, architecture, Path(folder), *wanted)
            for found in Path(folder).glob("*.whl"):
                pinned.setdefault(requirement(found), set()).add(hash_of(found))
    own = {requirement(wheel) for wheel in wheels}
    LOCK.write_text(HEADER + "".join(line(what, pinned[what]) for what in sorted(pinned.keys() - own)))


def gather(wheels: Sequence[Path], python: str, architecture: str, folder: Path) -> None:
    """Lay out what one build needs: all wheels for one Python on one architecture, and requirements with hashes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    download(python, architecture, folder, "--no-deps", "--require-hashes", "--requirement", str(LOCK))
    for wheel in wheels:
        shutil.copy(wheel, folder)
    ours = (line(requirement(wheel), [hash_of(wheel)]) for wheel in wheels)
    (folder / LOCK.name).write_text(LOCK.read_text() + "".join(ours))


def pins(folder: Path) -> list[str]:
    """Everything that was gathered, as ``name==version``."""
    entries = (folder / LOCK.name).read_text().splitlines()
    return [re.sub(r"\[.*\]", "", entry.split()[0]) for entry in entries if entry[:1].isalpha()]


def download(python: str, architecture: str, folder: Path, *arguments: str) -> None:
    """Have pip fetch wheels for a Python and an architecture that need not be those that run this."""
    platforms = [word for each in PLATFORMS[architecture] for word in ("--platform", each)]
    chosen = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *chosen, *arguments]
    subprocess.run(command, check=True)


def line(what: str, hashes: Iterable[str]) -> str:
    """One entry of a requirements file."""
    return " \\\n    ".join([what, *(f"--hash=sha256:{each}" for each in sorted(hashes))]) + "\n"


def requirement(wheel: Path) -> str:
    """Exactly this wheel's version, with the extras that the image needs."""
    name = name_of(wheel)
    return f"{name}{EXTRAS.get(name, '')}=={version_of(wheel)}"


def name_of(wheel: Path) -> str:
    """The distribution that a wheel's file name speaks of."""
    return wheel.name.split("-")[0].replace("_", "-")


def version_of(wheel: Path) -> str:
    """The version that a wheel's file name speaks of."""
    return wheel.name.split("-")[1]


def hash_of(wheel: Path) -> str:
    """The SHA-256 of a wheel."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def here() -> tuple[str, str]:
    """Python and architecture of this machine."""
    architectures = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{sys.version_info.major}.{sys.version_info.minor}", architectures[platform.machine()]


if __name__ == "__main__":
    if sys.argv[1] == "--gather":
        gather([Path(argument) for argument in sys.argv[3:]], *here(), Path(sys.argv[2]))
    else:
        lock([Path(argument) for argument in sys.argv[1:]])
