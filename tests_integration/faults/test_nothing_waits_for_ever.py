"""A failure that lasts reaches the client, with its cause and in a bounded time; and the worker goes on."""

from __future__ import annotations

import pytest

from scaler_batch.local.faults import Deny, Kill, ServerError
from stack import unless_compared
from systems import SECONDS, Gate, System, hold, lives
from watching import unfinished, wait_for

IMPATIENT = unless_compared("--outage-patience", "3")


def test_a_listing_that_is_denied_fails_tasks_with_the_cause_and_ends_their_jobs(system: System, gate: Gate) -> None:
    worker = system.start_worker("may-not-list", *IMPATIENT)
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    wait_for(lambda: gate.started == 1)
    system.inject(Deny("s3.ListObjects*", path="*/outcomes*"))
    with pytest.raises(Exception, match=r"AccessDenied|denied"):
        future.result(SECONDS)
    wait_for(lambda: unfinished(system.stack) == [])
    system.remove_faults()
    gate.open()
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


def test_the_death_of_a_job_is_told_though_the_storage_fails(system: System, gate: Gate) -> None:
    worker = system.start_worker("looks-for-deaths", *IMPATIENT)
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    wait_for(lambda: gate.started == 1)
    system.inject(ServerError("s3.ListObjects*", status=503, path="*/outcomes*"), Kill())
    with pytest.raises(Exception, match="AWS Batch says that it is over"):
        future.result(SECONDS)
    assert lives(worker)


def test_an_aws_batch_that_tells_nothing_of_jobs_fails_tasks_with_the_cause(system: System, gate: Gate) -> None:
    worker = system.start_worker("hears-nothing", *IMPATIENT)
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    wait_for(lambda: gate.started == 1)
    system.inject(Deny("batch.DescribeJobs"))
    with pytest.raises(Exception, match="DescribeJobs"):
        future.result(SECONDS)
    system.remove_faults()
    gate.open()
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


def test_an_outcome_that_may_not_be_read_fails_its_task_with_the_cause(system: System) -> None:
    worker = system.start_worker("may-not-read", *IMPATIENT)
    client = system.client()
    system.inject(Deny("s3.GetObject", path="*/outcomes/*"))
    with pytest.raises(Exception, match="could not be fetched from S3"):
        client.submit(abs, -3).result(SECONDS)
    assert lives(worker)
