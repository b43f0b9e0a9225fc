from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.aws import JobShape
from scaler_batch.tasks import Polling, TaskManagerSettings
from scaler_batch.tasks.errors import SettingsError


def test_defaults_are_what_aws_runs():
    settings = TaskManagerSettings("queue", "definition:3")
    assert settings.shape == JobShape("queue", "definition:3", 3600)
    assert settings.inline_limit < 8192


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"job_queue": ""}, "provisioner"),
        ({"job_definition": ""}, "provisioner"),
        ({"max_concurrent_jobs": 0}, "at least 1 job"),
        ({"job_timeout": 59}, "60 s"),
        ({"transfers": 0}, "at least 1 object"),
        ({"renew_after": 0.5}, "at least 1 s"),
        ({"inline_limit": -1}, "0 to 21504"),
        ({"inline_limit": 21505}, "0 to 21504"),
        ({"private": True, "inline_limit": 1}, "private needs 0"),
    ],
)
def test_what_aws_batch_would_refuse_is_refused_first(change: dict[str, Any], text: str):
    with pytest.raises(SettingsError, match=text):
        TaskManagerSettings(**{"job_queue": "queue", "job_definition": "definition", **change})


@pytest.mark.parametrize("edge", [{"job_timeout": 60}, {"inline_limit": 0}, {"inline_limit": 21504}, {"transfers": 1}])
def test_limits_themselves_are_taken(edge: dict[str, Any]):
    TaskManagerSettings("queue", "definition", **edge)


@pytest.mark.parametrize(
    "change",
    [
        {"shortest": 0.0},
        {"shortest": -1.0},
        {"shortest": 2.0, "longest": 1.0},
        {"backoff_fraction": -0.1},
        {"batch_check_ratio": -1.0},
        {"batch_check_shortest": -1.0},
        {"patience": -1.0},
    ],
)
def test_a_watcher_that_never_rests_or_never_looks_is_refused(change: dict[str, float]):
    with pytest.raises(SettingsError):
        Polling(**change)


def test_private_jobs_are_told_so_and_others_are_told_nothing():
    assert TaskManagerSettings("q", "d", private=True, inline_limit=0).shape.variables == (
        ("SCALER_BATCH_PRIVATE", "1"),
    )
    assert TaskManagerSettings("q", "d").shape.variables == ()
