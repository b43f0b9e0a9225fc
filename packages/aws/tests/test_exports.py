from __future__ import annotations

from importlib.metadata import version

from scaler_batch import aws


def test_every_exported_name_exists_once():
    assert [name for name in aws.__all__ if not hasattr(aws, name)] == []
    assert len(set(aws.__all__)) == len(aws.__all__)


def test_the_version_is_that_of_the_installed_distribution():
    assert aws.__version__ == version("scaler-batch-aws")
