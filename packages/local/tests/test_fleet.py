"""Instances that come, do not come, and go."""

from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.local.batch.effects import ConnectInstance, StartInstance, StopInstance
from scaler_batch.local.batch.fleet import FleetRules, Site
from scaler_batch.local.batch.rules import Strike
from scaler_batch.local.batch.texts import NO_CAPACITY, TOO_MUCH_MEMORY, host_gone
from scaler_batch.local.batch.vocabulary import InstanceType, Resources, RetryStrategy, State

SMALL = InstanceType("small", 2, 4096)
LARGE = InstanceType("large", 8, 16384)
GPU = InstanceType("gpu", 4, 16384, gpus=1)


def cold(make_world: Any, *types: InstanceType, **options: Any) -> Any:
    world = make_world(slots=100, fleet=FleetRules(100, 100, idle=600), **options)
    world.types = types or (SMALL,)
    return world


def effects(world: Any, kind: type) -> list[Any]:
    return [effect.instance for effect in world.effects if isinstance(effect, kind)]


def test_a_job_waits_for_an_instance_with_a_reason_that_goes_by_itself(make_world: Any) -> None:
    world = cold(make_world)
    job = world.submit()
    assert (job.state, job.status_reason) == (State.RUNNABLE, TOO_MUCH_MEMORY)
    world.after(99)
    assert job.state is State.RUNNABLE
    world.after(1)
    assert (job.state, job.status_reason) == (State.STARTING, None)
    assert effects(world, ConnectInstance) == effects(world, StartInstance) == [job.current.host]


def test_instances_are_started_for_all_that_wait_within_the_vcpus_of_the_environment(make_world: Any) -> None:
    world = cold(make_world, max_vcpus=6)
    for _ in range(10):
        world.submit()
    assert len(effects(world, StartInstance)) == 3
    world.after(100)
    assert len(world.launched()) == 6


def test_queues_share_the_vcpus_of_their_environment(make_world: Any) -> None:
    world = cold(make_world, max_vcpus=4)
    for queue in ("one", "two"):
        for _ in range(4):
            world.submit(queue=queue)
    assert sum(each.type.vcpus for each in effects(world, StartInstance)) == 4


@pytest.mark.parametrize(("jobs", "types"), [(1, ["small"]), (5, ["small", "small", "small"]), (9, ["large", "small"])])
def test_the_largest_type_that_is_filled_comes_first(make_world: Any, jobs: int, types: list[str]) -> None:
    world = cold(make_world, SMALL, LARGE, max_vcpus=64)
    world.capacity_before = world.engine.capacity.slots
    world.engine.capacity.slots = 0
    for _ in range(jobs):
        world.submit()
    world.engine.capacity.slots = world.capacity_before
    world.engine.queue_changed(world.now)
    world.look()
    assert [each.type.name for each in effects(world, StartInstance)] == types


def test_a_job_with_gpus_gets_an_instance_with_gpus(make_world: Any) -> None:
    world = cold(make_world, SMALL, GPU)
    world.submit(resources=Resources(1, 128, gpus=1))
    assert [each.type for each in effects(world, StartInstance)] == [GPU]


def test_a_job_that_no_type_holds_is_told_so_for_ever(make_world: Any) -> None:
    world = cold(make_world)
    job = world.submit(resources=Resources(1, 8192))
    world.after(1000)
    assert (job.state, job.status_reason) == (State.RUNNABLE, TOO_MUCH_MEMORY)
    assert effects(world, StartInstance) == []


def test_a_zone_without_the_type_is_a_lack_of_capacity(make_world: Any) -> None:
    world = cold(make_world)
    world.sites = {"small": None}
    job = world.submit()
    assert (job.state, job.status_reason) == (State.RUNNABLE, NO_CAPACITY)


def test_an_instance_that_cannot_reach_ecs_never_takes_a_job_and_never_goes(make_world: Any) -> None:
    world = cold(make_world)
    world.sites = {"small": Site("subnet-1", connects=False)}
    job = world.submit()
    world.after(10_000)
    assert job.state is State.RUNNABLE
    assert len(effects(world, StartInstance)) == 1
    assert effects(world, ConnectInstance) == effects(world, StopInstance) == []


def test_an_idle_instance_goes_and_the_next_job_waits_again(make_world: Any) -> None:
    world = cold(make_world)
    first = world.submit()
    world.after(100)
    world.run(first)
    world.after(599)
    assert effects(world, StopInstance) == []
    world.after(1)
    assert len(effects(world, StopInstance)) == 1
    assert world.submit().state is State.RUNNABLE


def test_a_job_on_an_idle_instance_starts_at_once(make_world: Any) -> None:
    world = cold(make_world)
    first = world.submit()
    world.after(100)
    world.run(first)
    world.after(500)
    second = world.submit()
    world.after(500)
    assert second.state is State.STARTING
    assert second.current.host is first.attempts[0].host


def test_a_reclaimed_instance_ends_its_attempt_by_its_own_name_and_is_gone(make_world: Any) -> None:
    world = cold(make_world)
    job = world.submit(retry=RetryStrategy(2))
    world.after(100)
    world.start(job)
    host = job.current.host
    world.engine.strike(world.now, Strike(lambda _: True, fate=host_gone("i-any"), grace=120))
    world.after(0)
    world.end(job, 143)
    world.after(0)
    assert job.attempts[0].ending == host_gone(host.id)
    assert effects(world, StopInstance) == [host]
    assert job.state is State.RUNNABLE
    world.after(100)
    assert job.current.host is not host


def test_idle_instances_stay_as_far_as_the_environment_wants_a_minimum(make_world: Any) -> None:
    world = cold(make_world, min_vcpus=2)
    jobs = [world.submit() for _ in range(4)]
    world.after(100)
    for job in jobs:
        world.run(job)
    world.after(10_000)
    assert len(effects(world, StopInstance)) == len(effects(world, StartInstance)) - 1 >= 1


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_instances_come_and_go_after_the_same_time_though_the_clock_jumps(make_world: Any, jump: float) -> None:
    world = cold(make_world)
    job = world.submit()
    world.after(60)
    world.jump(jump)
    assert world.engine.next_deadline == world.now + 40
    world.after(39)
    assert job.state is State.RUNNABLE
    world.after(1)
    assert job.state is State.STARTING
    world.run(job)
    world.jump(jump)
    assert world.engine.next_deadline == world.now + 600
    world.after(599)
    assert effects(world, StopInstance) == []
    world.after(1)
    assert len(effects(world, StopInstance)) == 1


def test_without_rules_for_instances_jobs_need_none(make_world: Any) -> None:
    world = make_world()
    world.types = (SMALL,)
    assert world.submit().state is State.STARTING
