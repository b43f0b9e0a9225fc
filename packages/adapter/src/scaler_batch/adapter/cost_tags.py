"""Tags on jobs by which their cost is told: which run, which worker, which provisioned resources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaler_batch.adapter.routes import Routes
from scaler_batch.aws import PREFIX_TAG, RUN_TAG, WORKER_TAG, tag_value

if TYPE_CHECKING:
    from scaler_batch.adapter.settings import WorkerSettings


def with_tags(settings: WorkerSettings, run_id: str) -> WorkerSettings:
    """The settings of one run, whose jobs bear its tags, whichever capability they serve."""
    if not settings.tag_jobs:
        return settings
    named = {RUN_TAG: run_id, WORKER_TAG: settings.name, PREFIX_TAG: settings.provisioned_prefix}
    tags = tuple((name, tag_value(value)) for name, value in named.items() if value)
    shapes = {table: replace(shape, tags=tags) for table, shape in settings.routes.shapes.items()}
    return replace(settings, tasks=replace(settings.tasks, tags=tags), routes=Routes(shapes))
