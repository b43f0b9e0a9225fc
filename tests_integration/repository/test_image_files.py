"""The provisioner brings along the files that the runner's image is built from; they are those of `docker/runner`."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["Dockerfile", "bases.json", "requirements.txt"])
def test_the_provisioner_builds_from_the_same_file(name: str, root: Path) -> None:
    package = root / "packages" / "provision" / "src" / "scaler_batch" / "provision" / "image"

    # Copy it over when this fails: docker/runner is where it is changed.
    assert (package / name).read_text() == (root / "docker" / "runner" / name).read_text()
