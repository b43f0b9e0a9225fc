"""What the tests of the repository look at: its tree, its packages, the files that would be committed."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Package:
    """One folder of `packages/`."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def import_folder(self) -> Path:
        return self.folder / "src" / "scaler_batch" / self.name

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())

    @property
    def project(self) -> dict[str, Any]:
        return self.pyproject["project"]

    def modules(self) -> dict[str, ast.Module]:
        """Every module of the package, parsed, by its path below `src`."""
        source = self.folder / "src"
        return {str(path.relative_to(source)): ast.parse(path.read_text()) for path in sorted(source.rglob("*.py"))}


ALL_PACKAGES = [Package(path.parent) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `package` once for each package there is."""
    if "package" in metafunc.fixturenames:
        metafunc.parametrize("package", ALL_PACKAGES, ids=[package.name for package in ALL_PACKAGES])


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def packages() -> list[Package]:
    return ALL_PACKAGES


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    """The root's pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Every text file that is committed, or would be by `git add`, by its path below the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted(name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file())
    found = {}
    for name in names:
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            found[name] = content.decode()
    return found
