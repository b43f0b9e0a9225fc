"""What users may rely on."""

from __future__ import annotations

from importlib.metadata import version

import scaler_batch.provision


def test_every_exported_name_is_there_and_sorted() -> None:
    names = scaler_batch.provision.__all__
    assert [name for name in names if not hasattr(scaler_batch.provision, name)] == []
    assert names == sorted(set(names))


def test_the_version_is_that_of_the_distribution() -> None:
    assert scaler_batch.provision.__version__ == version("scaler-batch-provision")
