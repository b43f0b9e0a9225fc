from __future__ import annotations

from importlib.metadata import version

import scaler_batch.local as package


def test_the_public_names_exist() -> None:
    assert sorted(package.__all__) == ["Counters", "LocalAWS", "LocalError", "LocalSettings", "__version__"]
    assert all(hasattr(package, name) for name in package.__all__)


def test_the_version_is_the_installed_one() -> None:
    assert package.__version__ == version("scaler-batch-local")
