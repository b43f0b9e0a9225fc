"""What goes into the runner's image is written down, all of it, and by its hash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Package

ENTRY = re.compile(r"^(\S+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


@pytest.fixture
def lock(root: Path) -> str:
    return (root / "docker" / "runner" / "requirements.txt").read_text()


def test_the_image_pins_what_its_packages_declare(lock: str, packages: list[Package]) -> None:
    pinned = {name: version for name, version, _ in ENTRY.findall(lock)}
    projects = {package.project["name"]: package.project for package in packages}
    payload, runner = projects["scaler-batch-payload"], projects["scaler-batch-runner"]
    wanted = map(
        Requirement,
        [*payload["dependencies"], *payload["optional-dependencies"]["s3"], *runner["dependencies"]],
    )

    unmet = {
        str(need)
        for need in wanted
        if need.name not in projects and not (need.name in pinned and need.specifier.contains(pinned[need.name]))
    }
    assert unmet == set(), "nox -s lock"


def test_every_line_of_the_images_requirements_is_a_version_with_a_hash(lock: str) -> None:
    assert ENTRY.sub("", lock.partition("\n")[2]).strip() == ""
