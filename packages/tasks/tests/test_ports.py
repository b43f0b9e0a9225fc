"""Who is to fit a port fits it."""

from __future__ import annotations

import inspect

import pytest

from scaler_batch.aws import BatchJobService
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.testing import FakeJobService


@pytest.mark.parametrize("service", [BatchJobService, FakeJobService])
def test_a_job_service_has_every_method_of_the_port(service: type):
    for name, method in vars(JobService).items():
        if inspect.iscoroutinefunction(method):
            ours = inspect.signature(getattr(service, name))
            assert list(ours.parameters) == list(inspect.signature(method).parameters), name
