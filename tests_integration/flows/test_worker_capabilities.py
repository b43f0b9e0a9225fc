"""A task's capabilities choose its queue, and a bundle runs as many tasks side by side as its job has vCPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scaler import Client

from stack import Options, Stack, read_exports
from watching import wait_for, worker_status

CONFIG = """
[aws_hpc_worker_adapter]
scheduler_address = "{scheduler}"
from_provisioned = "{handover}"
tasks_per_job = 4

[aws_hpc_worker_adapter.capabilities.gpu]
job_queue = "{queue}"
job_definition = "{definition}"
vcpus = 2
memory = 2048
job_timeout_minutes = 5
"""


def provision(cloud: Stack, prefix: str, *options: str) -> dict[str, str]:
    """Make a queue and a definition by the provisioner, and return their names."""
    files = ("--env-file", f"{prefix}.env", "--config", f"{prefix}.json")
    chosen = ("--image", "local/scaler-batch", "--prefix", prefix, *options, "--yes")
    cloud.run("provisioner", "-m", "scaler_batch.provision", "provision", *chosen, *files)
    return read_exports(cloud.directory / f"{prefix}.env")


@pytest.fixture(scope="module")
def first(cloud: Stack) -> dict[str, str]:
    """The queue and the definition of tasks without a capability."""
    return provision(cloud, "first")


@pytest.fixture(scope="module")
def second(cloud: Stack) -> dict[str, str]:
    """Another queue and another definition."""
    return provision(cloud, "second", "--vcpus", "2", "--memory", "4096")


@pytest.fixture(scope="module")
def stack(cloud: Stack, first: dict[str, str], second: dict[str, str]) -> Iterator[Stack]:
    with Stack(Options(scheduler=("-pc", "allocate=capability; scaling=no"))) as running:
        running.join(cloud)
        running.provisioned = first
        file = running.directory / "config.toml"
        file.write_text(
            CONFIG.format(
                scheduler=running.scheduler_address,
                handover=cloud.directory / "first.json",
                queue=second["SCALER_JOB_QUEUE"],
                definition=second["SCALER_JOB_DEFINITION"],
            )
        )
        running.start_worker("adapter", "--config", str(file))
        yield running


def test_a_task_with_a_capability_lands_on_its_queue(stack: Stack, client: Client, second: dict[str, str]) -> None:
    def where() -> str:
        import os

        return os.environ["AWS_BATCH_JQ_NAME"]

    plain = client.submit(where)
    routed = client.submit_verbose(where, args=(), kwargs={}, capabilities={"gpu": 1})
    assert plain.result() == stack.provisioned["SCALER_JOB_QUEUE"]
    assert routed.result() == second["SCALER_JOB_QUEUE"]


def test_the_job_gets_the_resources_of_its_capability(stack: Stack, client: Client, second: dict[str, str]) -> None:
    def which() -> str:
        import os

        return os.environ["AWS_BATCH_JOB_ID"]

    job_id = client.submit_verbose(which, args=(), kwargs={}, capabilities={"gpu": 1}).result()
    (job,) = stack.aws("batch").describe_jobs(jobs=[job_id.partition(":")[0]])["jobs"]
    wanted = {each["type"]: each["value"] for each in job["container"]["resourceRequirements"]}
    assert (wanted["VCPU"], wanted["MEMORY"]) == ("2", "2048")
    assert job["timeout"] == {"attemptDurationSeconds": 300}


def test_tasks_of_a_bundle_run_side_by_side(
    cloud: Stack, second: dict[str, str], connect: Callable[[Stack], Client], tmp_path: Path
) -> None:
    """Two tasks that wait for each other can only end if both run at once."""

    def meet(folder: str, me: str, other: str) -> str:
        import pathlib
        import time

        place = pathlib.Path(folder)
        (place / me).touch()
        while not (place / other).exists():
            time.sleep(0.02)
        import os

        return os.environ["AWS_BATCH_JOB_ID"]

    with Stack() as stack:
        stack.join(cloud)
        stack.start_worker(
            "adapter",
            *(
                "--scheduler-address",
                stack.scheduler_address,
                "--from-provisioned",
                str(cloud.directory / "second.env"),
            ),
            *("--tasks-per-job", "2", "--max-concurrent-jobs", "1", "--job-timeout", "5", "--metrics-port", "0"),
        )
        client = connect(stack)
        # The gate has the only slot while the two arrive, and nobody in its job, where one of them would wait in vain.
        gate = client.submit(meet, str(tmp_path), "gate", "open")
        wait_for((tmp_path / "gate").exists)
        futures = [client.submit(meet, str(tmp_path), *names) for names in (("a", "b"), ("b", "a"))]
        wait_for(lambda: worker_status(stack)["stages"]["queued"] == 2)
        (tmp_path / "open").touch()
        gate.result()
        first, other = (future.result() for future in futures)
        client.disconnect()
        assert first == other
