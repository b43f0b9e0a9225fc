from __future__ import annotations

from importlib.metadata import version

import pytest

import scaler_batch
from scaler_batch import tasks
from scaler_batch.tasks import testing


@pytest.mark.parametrize("module", [tasks, testing])
def test_every_exported_name_exists_and_is_documented(module):
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_the_public_surface_is_this():
    assert set(tasks.__all__) == {
        "AWSHPCTaskManager",
        "InputLoader",
        "JobService",
        "Polling",
        "ReplySink",
        "Result",
        "Snapshot",
        "TaskFailedError",
        "TaskManagerSettings",
        "TaskRequest",
        "TasksError",
        "Verdict",
    }


def test_the_version_is_that_of_the_installed_distribution():
    assert tasks.__version__ == version("scaler-batch-tasks")


def test_the_namespace_is_open_to_siblings():
    assert getattr(scaler_batch, "__file__", None) is None
