"""Each folder of `packages/` is a distribution complete in itself, and together they make one namespace."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Package


def test_no_package_claims_the_namespace_for_itself(root: Path) -> None:
    # One stray file here makes every sibling unimportable.
    assert list(root.glob("packages/*/src/scaler_batch/__init__.py")) == []


@pytest.mark.parametrize("file", ["pyproject.toml", "README.md", "CHANGELOG.md"])
def test_a_package_is_complete(package: Package, file: str) -> None:
    assert (package.folder / file).read_text().strip()
    assert package.project["readme"] == "README.md"


def test_a_package_tells_type_checkers_that_it_is_typed(package: Package) -> None:
    assert (package.import_folder / "py.typed").is_file()


def test_a_package_has_tests_of_its_own(package: Package) -> None:
    assert list(package.folder.glob("tests/test_*.py"))
    assert (package.folder / "tests" / "test_exports.py").is_file()
    # import-mode importlib: two packages may both have a tests/test_errors.py, but no tests/__init__.py.
    assert list(package.folder.glob("tests/**/__init__.py")) == []


def test_a_package_holds_one_import_name(package: Package) -> None:
    inside = [path.name for path in (package.folder / "src").rglob("*") if path.parent.name == "scaler_batch"]

    assert [name for name in inside if name != "__pycache__"] == [package.name]
    assert package.project["import-names"] == [f"scaler_batch.{package.name}"]
    assert package.project["import-namespaces"] == ["scaler_batch"]
    assert package.project["name"] == f"scaler-batch-{package.name}"


def test_the_version_in_the_code_is_that_of_the_metadata(package: Package) -> None:
    assert importlib.import_module(f"scaler_batch.{package.name}").__version__ == version(package.project["name"])


def test_the_changelog_speaks_of_the_present_version(package: Package) -> None:
    assert f"## {version(package.project['name'])}" in (package.folder / "CHANGELOG.md").read_text()


def test_all_packages_serve_the_same_python_versions(package: Package, packages: list[Package]) -> None:
    # The noxfile takes the versions to test with from one of them.
    first = packages[0].project

    assert package.project["requires-python"] == first["requires-python"]
    assert package.project["classifiers"] == first["classifiers"]


def test_a_siblings_range_admits_the_sibling_beside_it(package: Package) -> None:
    for need in declared(package):
        if need.name.startswith("scaler-batch-"):
            assert need.specifier.contains(version(need.name), prereleases=True), need


def test_a_siblings_range_ends_before_the_next_breaking_version(package: Package) -> None:
    siblings = [need for need in declared(package) if need.name.startswith("scaler-batch-")]

    assert all({clause.operator for clause in need.specifier} == {">=", "<"} for need in siblings)


def test_the_tools_know_every_package(packages: list[Package], settings: dict[str, Any]) -> None:
    tools = settings["tool"]
    (layers,) = [entry for entry in tools["importlinter"]["contracts"] if entry["type"] == "layers"]

    in_layers = {name.strip() for layer in layers["layers"] for name in layer.split("|")}

    assert in_layers == {package.name for package in packages}
    assert set(tools["mypy"]["mypy_path"].split(":")) == {f"packages/{package.name}/src" for package in packages}


def declared(package: Package) -> list[Requirement]:
    extras = package.project.get("optional-dependencies", {}).values()
    return [
        Requirement(text) for text in [*package.project["dependencies"], *(need for extra in extras for need in extra)]
    ]
