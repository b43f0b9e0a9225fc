from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import scaler_batch.adapter as adapter


def test_every_public_name_is_there() -> None:
    assert all(hasattr(adapter, name) for name in adapter.__all__)


def test_the_version_is_that_of_the_distribution() -> None:
    assert adapter.__version__ == version("scaler-batch-adapter")


def test_nothing_of_scaler_is_imported() -> None:
    program = "import scaler_batch.adapter.cli, sys; sys.exit('scaler' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
