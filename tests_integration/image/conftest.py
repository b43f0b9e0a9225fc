"""What is tested here runs in the image that ``nox -s image`` builds; ``nox -s integration_docker`` names it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stack import Options, Stack

VARIABLE = "SCALER_BATCH_IMAGE"


@pytest.fixture(scope="session", autouse=True)
def image() -> str:
    """The image of the runner."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} names no image: nox -s integration_docker")
    return os.environ[VARIABLE]


@pytest.fixture(scope="session")
def cloud(image: str) -> Iterator[Stack]:
    """A provisioned AWS whose jobs are containers."""
    with Stack(Options(local=("--jobs", "docker"), image=image)) as running:
        running.start_aws()
        running.provision()
        yield running
