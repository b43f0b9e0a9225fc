from __future__ import annotations

import importlib.metadata

import scaler_batch.payload as package


def test_everything_that_is_exported_exists() -> None:
    assert sorted(package.__all__) == package.__all__
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert importlib.metadata.version("scaler-batch-payload") == package.__version__
