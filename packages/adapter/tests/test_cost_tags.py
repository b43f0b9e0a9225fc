"""Tags by which the cost of jobs is told."""

from __future__ import annotations

from dataclasses import replace

from scaler_batch.adapter.cost_tags import with_tags
from scaler_batch.adapter.routes import Routes
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.aws import JobShape
from scaler_batch.tasks import TaskManagerSettings

SETTINGS = replace(
    WorkerSettings("tcp://h:1", "bucket", TaskManagerSettings("q", "d"), name="me|my#laptop"),
    routes=Routes({"gpu": JobShape("gpus", "d", 60)}),
    provisioned_prefix="scaler-batch",
)


def test_jobs_of_every_capability_tell_run_worker_and_prefix() -> None:
    tagged = with_tags(SETTINGS, "20300101T000000-0badcafe")
    for shape in (tagged.tasks.shape, *tagged.routes.shapes.values()):
        assert dict(shape.tags) == {
            "scaler-batch:run": "20300101T000000-0badcafe",
            "scaler-batch:worker": "me-my-laptop",
            "scaler-batch:prefix": "scaler-batch",
        }


def test_a_definition_of_another_making_has_no_prefix_to_tell() -> None:
    tagged = with_tags(replace(SETTINGS, provisioned_prefix=""), "r")
    assert [name for name, _ in tagged.tasks.shape.tags] == ["scaler-batch:run", "scaler-batch:worker"]


def test_without_permission_to_tag_jobs_none_is_tagged() -> None:
    untagged = with_tags(replace(SETTINGS, tag_jobs=False), "r")
    assert untagged.tasks.shape.tags == untagged.routes.shapes["gpu"].tags == ()
