"""What checks and builds are done with is locked by version and hash, and names no index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Package

LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; .+?)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE)
NAMES = ("build", "docs", "lint", "nox", "sbom", "types")


def versions(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version, _ in LOCKED.findall(lock):
        found.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_versions_and_hashes_and_nothing_else(name: str, root: Path) -> None:
    text = (root / ".ci" / "locks" / f"{name}.txt").read_text()
    assert LOCKED.sub("", text) == "", "no line without a hash, no address, no option"
    assert versions(text)


def test_there_is_a_lock_for_each_name_and_no_other(root: Path) -> None:
    assert {path.stem for path in (root / ".ci" / "locks").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", ["docs", "lint", "sbom", "types"])
def test_a_lock_satisfies_what_its_group_asks_for(name: str, root: Path, settings: dict[str, Any]) -> None:
    found = versions((root / ".ci" / "locks" / f"{name}.txt").read_text())
    unmet = {
        text
        for text in settings["dependency-groups"][name]
        for need in [Requirement(text)]
        if not any(need.specifier.contains(version) for version in found.get(need.name.lower(), ()))
    }
    assert unmet == set(), "nox -s locks"


def test_the_lock_for_types_has_what_packages_declare(root: Path, packages: list[Package]) -> None:
    found = versions((root / ".ci" / "locks" / "types.txt").read_text())
    projects = [package.project for package in packages]
    declared = [need for project in projects for need in project["dependencies"]]
    declared += [need for one in projects for extra in one.get("optional-dependencies", {}).values() for need in extra]
    own = {project["name"] for project in projects}
    unmet = {
        text
        for text in declared
        for need in [Requirement(text)]
        if need.name not in own
        and not any(need.specifier.contains(version) for version in found.get(need.name.lower().replace("_", "-"), ()))
    }
    assert unmet == set(), "nox -s locks"


def test_the_lock_for_builds_has_what_packages_are_built_with(root: Path, packages: list[Package]) -> None:
    found = versions((root / ".ci" / "locks" / "build.txt").read_text())
    needs = {need for package in packages for need in package.pyproject["build-system"]["requires"]}
    pinned = {need: found.get(Requirement(need).name, set()) for need in needs}
    assert all(any(Requirement(need).specifier.contains(one) for one in pinned[need]) for need in needs), "nox -s locks"
