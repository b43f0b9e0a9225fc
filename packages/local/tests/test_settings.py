from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local import LocalSettings
from scaler_batch.local.batch.vocabulary import State
from scaler_batch.local.errors import SettingsError


def test_by_default_there_are_as_many_slots_as_cpus_and_two_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    for cpus, slots in ((1, 2), (2, 2), (7, 7)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cpus=cpus: set(range(cpus)))
        assert LocalSettings().rules().slots == slots


def test_jobs_run_under_the_same_interpreter_unless_another_is_set() -> None:
    assert LocalSettings().python == sys.executable
    assert LocalSettings(job_python="/x").python == "/x"


@given(
    st.builds(
        LocalSettings,
        port=st.integers(0, 65535),
        slots=st.none() | st.integers(1, 100),
        jobs=st.sampled_from(["fork", "spawn"]),
        delays=st.dictionaries(st.sampled_from([state.value for state in State]), st.floats(0, 100)),
    )
)
def test_settings_travel_as_text(settings: LocalSettings) -> None:
    assert LocalSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 0},
        {"memory_mib": 0},
        {"port": 70_000},
        {"jobs": "magic"},
        {"minimum_timeout": 0},
        {"stop_grace": -1},
        {"keep_finished": 0},
        {"delays": {"ASLEEP": 1}},
        {"delays": {"RUNNABLE": -1}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        LocalSettings(**wrong)
