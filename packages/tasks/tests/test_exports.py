from __future__ import annotations

import inspect
import re
from importlib.metadata import version

import pytest

import scaler_batch
from scaler_batch import tasks
from scaler_batch.tasks import testing


@pytest.mark.parametrize("module", [tasks, testing])
def test_every_exported_name_exists_and_is_documented(module):
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        assert name.isupper() or getattr(module, name).__doc__


def test_the_public_surface_is_this():
    assert set(tasks.__all__) == {
        "AWSHPCTaskManager",
        "Backoff",
        "Classification",
        "Credentials",
        "InputError",
        "InputLoader",
        "JobReport",
        "JobService",
        "JobShape",
        "JobSpec",
        "JobStatus",
        "LARGEST_BUNDLE",
        "LeaseHolder",
        "Leases",
        "Outcome",
        "PatientJobs",
        "PatientStore",
        "Polling",
        "ReplySink",
        "Result",
        "RunLocation",
        "RunStores",
        "ServiceError",
        "SettingsError",
        "Snapshot",
        "Stage",
        "Store",
        "StoreError",
        "TaskFailedError",
        "TaskManagerSettings",
        "TaskRequest",
        "TasksError",
        "Verdict",
        "check_worker_name",
        "new_run_id",
    }


@pytest.mark.parametrize("port", [tasks.JobService, tasks.InputLoader, tasks.ReplySink])
def test_who_implements_a_port_finds_its_types_and_errors_here(port: type):
    hints = [inspect.get_annotations(method) for method in vars(port).values() if inspect.isfunction(method)]
    named = {name for each in hints for text in each.values() for name in re.findall(r"[A-Z]\w+", str(text))}
    assert named - {"Any", "None", "Sequence", "Mapping", "Buffer"} <= set(tasks.__all__)
    raised = set(re.findall(r"\b(\w+Error)\b", inspect.getsource(port)))
    assert raised <= set(tasks.__all__)


def test_the_version_is_that_of_the_installed_distribution():
    assert tasks.__version__ == version("scaler-batch-tasks")


def test_the_namespace_is_open_to_siblings():
    assert getattr(scaler_batch, "__file__", None) is None
