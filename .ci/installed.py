"""What pip has installed, file by file: prints JSON. Needs the standard library only, so it runs inside an image too.

    python installed.py FOLDER...
    docker run --rm -i IMAGE python - < installed.py

Each folder holds distributions as ``site-packages`` does; without one, those of this interpreter. Every file is read
and hashed. One that is missing, or is not what its distribution's RECORD says, ends the program.
"""

from __future__ import annotations

import base64
import hashlib
import json
import site
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any


def packages(folders: list[Path]) -> list[dict[str, Any]]:
    """Every distribution in some folders, with its files, by name.

    Returns:
        For each: ``name``, ``version``, ``license`` and ``files``, of which each has ``path`` and ``sha256``.
    """
    found = [_package(one) for folder in folders for one in distributions(path=[str(folder)])]
    return sorted(found, key=lambda one: str(one["name"]))


def _package(one: Distribution) -> dict[str, Any]:
    about = one.metadata
    return {
        "name": about["Name"].lower().replace("_", "-"),
        "version": one.version,
        "license": about.get("License-Expression") or "",
        "files": sorted((_file(one, file) for file in _there(one)), key=lambda file: file["path"]),
    }


def _there(one: Distribution) -> list[Any]:
    """What is recorded, but for byte code that somebody has taken away to save room, as images do."""
    return [file for file in one.files or () if file.suffix != ".pyc" or Path(str(one.locate_file(file))).exists()]


def _file(one: Distribution, recorded: Any) -> dict[str, str]:
    place = Path(str(one.locate_file(recorded))).resolve()
    try:
        content = place.read_bytes()
    except OSError as error:
        sys.exit(f"{one.metadata['Name']}: {recorded} is recorded and cannot be read: {error}")
    digest = hashlib.sha256(content).digest()
    if recorded.hash and recorded.hash.value != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
        sys.exit(f"{one.metadata['Name']}: {recorded} is not what its RECORD says")
    return {"path": str(place), "sha256": digest.hex()}


def main() -> None:
    """Print what is in the folders that were named, or here."""
    folders = [Path(argument) for argument in sys.argv[1:]] or [Path(folder) for folder in site.getsitepackages()]
    json.dump(packages([folder for folder in folders if folder.is_dir()]), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
