"""Batch over HTTP with boto3, as any program sees it."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS
from scaler_batch.local.services.listings import listing


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The message of a call that must be refused with a ClientException."""
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    error = refusal.value.response["Error"]
    assert (error["Code"], refusal.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("ClientException", 400)
    return str(error["Message"])


# Single jobs


def test_a_job_runs_and_tells_all_about_itself(account: Any) -> None:
    job = account.run(
        "sh",
        "-c",
        "echo $GREETING Ref::who; exit 3",
        definition=account.define("sh", "-c", "echo $GREETING Ref::who; exit 3", parameters={"who": "nobody"}),
        parameters={"who": "world"},
        containerOverrides={"environment": [{"name": "GREETING", "value": "hello"}]},
    )
    assert (job["status"], job["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert (job["container"]["exitCode"], job["attempts"][0]["container"]["exitCode"]) == (3, 3)
    assert job["container"]["command"][-1] == "echo $GREETING world; exit 3"
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert account.lines(job) == ["hello world"]


def test_a_job_finds_its_batch_variables_and_the_way_back(account: Any) -> None:
    job = account.run("env")
    variables = dict(line.split("=", 1) for line in account.lines(job))
    expected = {"AWS_BATCH_JOB_ID": job["jobId"], "AWS_BATCH_JOB_ATTEMPT": "1", "AWS_BATCH_JQ_NAME": "queue"}
    assert expected.items() <= variables.items()
    assert variables["AWS_BATCH_CE_NAME"] == "fleet"
    assert variables["AWS_ENDPOINT_URL"] == account.aws.endpoint_url
    assert "AWS_BATCH_JOB_ARRAY_INDEX" not in variables


def test_a_jobs_own_variables_win_over_the_machines(account: Any) -> None:
    overrides = {"environment": [{"name": "AWS_REGION", "value": "eu-west-1"}]}
    job = account.run("sh", "-c", "echo $AWS_REGION", containerOverrides=overrides)
    assert account.lines(job) == ["eu-west-1"]


def test_logs_can_be_read_while_the_job_runs(account: Any, until: Callable[..., Any], tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    job_id = account.submit("sh", "-c", f"echo first; read line < {fifo}; echo $line")
    job = account.wait(job_id, "RUNNING")
    until(lambda: account.lines(job), lambda lines: lines == ["first"])
    fifo.write_text("second\n")
    assert account.lines(account.wait(job_id)) == ["first", "second"]


def test_a_log_group_of_the_definitions_own_is_used(account: Any) -> None:
    options = {"awslogs-group": "/mine", "awslogs-stream-prefix": "prefix"}
    definition = account.define(
        "echo", "x", container={"logConfiguration": {"logDriver": "awslogs", "options": options}}
    )
    stream = account.run(definition=definition)["container"]["logStreamName"]
    assert stream.startswith("prefix/default/")
    events = account.logs.get_log_events(logGroupName="/mine", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["x"]


def test_attempts_are_made_as_the_strategy_says(account: Any) -> None:
    strategy = {"attempts": 3, "evaluateOnExit": [{"onExitCode": "2", "action": "EXIT"}]}
    job = account.run("sh", "-c", "exit $AWS_BATCH_JOB_ATTEMPT", retryStrategy=strategy)
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 2]
    assert job["retryStrategy"]["evaluateOnExit"] == [{"onExitCode": "2", "action": "EXIT"}]
    assert len({attempt["container"]["logStreamName"] for attempt in job["attempts"]}) == 2


def test_the_definitions_strategy_holds_where_the_request_has_none(account: Any) -> None:
    definition = account.define("false", retryStrategy={"attempts": 2})
    assert len(account.run(definition=definition)["attempts"]) == 2


def test_a_timeout_ends_a_job_that_heeds_sigterm(account: Any) -> None:
    job = account.run("sleep", "60", timeout={"attemptDurationSeconds": 1}, retryStrategy={"attempts": 3})
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
    assert (job["container"]["exitCode"], len(job["attempts"])) == (143, 1)


def test_terminating_kills_a_job_that_does_not_heed_sigterm(account: Any, until: Callable[..., Any]) -> None:
    job_id = account.submit("sh", "-c", "trap '' TERM; echo deaf; sleep 60 & wait; sleep 60")
    running = account.wait(job_id, "RUNNING")
    until(lambda: account.lines(running), lambda lines: lines == ["deaf"])
    account.batch.terminate_job(jobId=job_id, reason="enough")
    job = account.wait(job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "enough", True)
    assert job["container"]["exitCode"] == 137


def test_a_command_that_is_not_there_is_told_from_one_that_fails(account: Any) -> None:
    job = account.run("no-such-program")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert "exitCode" not in job["container"]


def test_a_forked_runner_is_what_answers_the_runners_command(account: Any) -> None:
    job = account.run("python", "-m", "scaler_batch.runner")
    assert job["container"]["exitCode"] == 64
    assert "--run" in " ".join(account.lines(job))


# Room


def test_a_job_that_fits_nowhere_waits_and_says_why(account: Any) -> None:
    overrides = {"resourceRequirements": [{"type": "VCPU", "value": "100"}]}
    job_id = account.submit("true", jobQueue="other", containerOverrides=overrides)
    job = account.describe(job_id)
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")
    snapshot = account.batch.get_job_queue_snapshot(jobQueue="other")
    assert [each["jobArn"] for each in snapshot["frontOfQueue"]["jobs"]] == [job["jobArn"]]
    account.batch.cancel_job(jobId=job_id, reason="never mind")
    job = account.describe(job_id)
    assert (job["status"], job["statusReason"], job["isCancelled"]) == ("FAILED", "never mind", True)


def test_jobs_beyond_the_slots_wait_their_turn(account: Any) -> None:
    long = [account.submit("sleep", "60") for _ in range(4)]
    for job_id in long:
        account.wait(job_id, "RUNNING")
    waiting = account.submit("true")
    assert account.describe(waiting)["status"] == "RUNNABLE"
    answer = account.batch.terminate_jobs(jobs=[*long, "unheard-of"], reason="make room")
    assert (answer["successful"], answer["errors"]) == ([*long, "unheard-of"], [])
    assert account.wait(waiting)["status"] == "SUCCEEDED"
    assert {account.wait(job_id)["statusReason"] for job_id in long} == {"make room"}


# Arrays


def test_an_array_knows_its_children(account: Any) -> None:
    definition = account.define("sh", "-c", "echo $AWS_BATCH_JOB_ARRAY_INDEX; exit $AWS_BATCH_JOB_ARRAY_INDEX")
    parent = account.run(definition=definition, arrayProperties={"size": 3})
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    summary = parent["arrayProperties"]["statusSummary"]
    assert (parent["arrayProperties"]["size"], summary["SUCCEEDED"], summary["FAILED"]) == (3, 1, 2)
    listed = account.batch.list_jobs(arrayJobId=parent["jobId"], jobStatus="FAILED")["jobSummaryList"]
    assert [child["jobId"] for child in listed] == [f"{parent['jobId']}:1", f"{parent['jobId']}:2"]
    assert [child["container"]["exitCode"] for child in listed] == [1, 2]
    child = account.describe(f"{parent['jobId']}:2")
    assert (child["arrayProperties"], account.lines(child)) == ({"index": 2}, ["2"])


def test_terminating_a_parent_ends_its_children(account: Any) -> None:
    parent = account.submit("sleep", "60", arrayProperties={"size": 10})
    account.wait(f"{parent}:0", "RUNNING")
    account.batch.terminate_job(jobId=parent, reason="enough")
    job = account.wait(parent)
    assert (job["statusReason"], job["arrayProperties"]["statusSummary"]["FAILED"]) == ("enough", 10)


def test_an_array_of_ten_thousand_is_accepted_described_and_ended(account: Any) -> None:
    parent = account.submit("sleep", "60", arrayProperties={"size": 10_000})
    pages = account.batch.get_paginator("list_jobs").paginate(arrayJobId=parent, jobStatus="RUNNABLE")
    waiting = [child["jobId"] for page in pages for child in page["jobSummaryList"]]
    assert 9_990 <= len(waiting) == len(set(waiting))
    account.batch.terminate_job(jobId=parent, reason="enough")
    assert account.wait(parent)["arrayProperties"]["statusSummary"]["FAILED"] == 10_000


# Lists


def test_jobs_are_found_by_name(account: Any) -> None:
    ids = [account.submit("true", jobName=f"found-{number}") for number in range(3)]
    for job_id in ids:
        account.wait(job_id)
    by_name = [{"name": "JOB_NAME", "values": ["FOUND-*"]}]
    page = account.batch.list_jobs(jobQueue="queue", filters=by_name, maxResults=2)
    rest = account.batch.list_jobs(jobQueue="queue", filters=by_name, nextToken=page["nextToken"])
    found = page["jobSummaryList"] + rest["jobSummaryList"]
    assert [job["jobId"] for job in found] == ids[::-1]
    assert {job["container"]["exitCode"] for job in found} == {0}


def test_a_queue_lists_what_runs_unless_told_otherwise(account: Any) -> None:
    job_id = account.submit("sleep", "60", jobQueue="other")
    account.wait(job_id, "RUNNING")
    assert [job["jobId"] for job in account.batch.list_jobs(jobQueue="other")["jobSummaryList"]] == [job_id]
    account.batch.terminate_job(jobId=job_id, reason="enough")
    account.wait(job_id)
    assert account.batch.list_jobs(jobQueue="other")["jobSummaryList"] == []


def test_unknown_jobs_are_left_out_of_a_description(account: Any) -> None:
    assert account.batch.describe_jobs(jobs=["no-such-job"])["jobs"] == []


def test_a_job_of_another_region_is_not_seen(account: Any) -> None:
    job_id = account.submit("true")
    elsewhere = account.aws.client("batch", region_name="eu-west-1")
    assert elsewhere.describe_jobs(jobs=[job_id])["jobs"] == []
    elsewhere.close()


# Limits


def test_what_does_not_exist_is_named(account: Any) -> None:
    submit = account.batch.submit_job
    definition = account.define("true")
    assert "no-queue" in refused(submit, jobName="x", jobQueue="no-queue", jobDefinition=definition)
    assert "nothing" in refused(submit, jobName="x", jobQueue="queue", jobDefinition="nothing")
    assert "no-job" in refused(
        submit, jobName="x", jobQueue="queue", jobDefinition=definition, dependsOn=[{"jobId": "no-job"}]
    )
    assert refused(account.batch.list_jobs)


def test_a_request_over_thirty_kibibytes_is_refused(account: Any) -> None:
    definition = account.define("true")
    parameters = {"pack": "x" * 30 * 1024}
    message = refused(
        account.batch.submit_job, jobName="x", jobQueue="queue", jobDefinition=definition, parameters=parameters
    )
    assert "30720" in message


def test_overrides_over_the_limit_are_accepted_and_fail(account: Any) -> None:
    definition = account.define("echo", "Ref::pack")
    job = account.run(definition=definition, parameters={"pack": "x" * 8192})
    assert (job["status"], job["attempts"]) == ("FAILED", [])
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


def test_a_disabled_queue_takes_no_jobs(account: Any) -> None:
    account.batch.update_job_queue(jobQueue="other", state="DISABLED")
    definition = account.define("true")
    assert "disabled" in refused(account.batch.submit_job, jobName="x", jobQueue="other", jobDefinition=definition)
    account.batch.update_job_queue(jobQueue="other", state="ENABLED")
    assert account.wait(account.submit(definition=definition, jobQueue="other"))["status"] == "SUCCEEDED"


def test_an_inactive_revision_takes_no_jobs_and_a_name_means_the_latest_active_one(account: Any) -> None:
    name = account.define("echo", "one")
    container = {"image": "none", "command": ["echo", "two"], "vcpus": 1, "memory": 64}
    account.batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container)
    account.batch.deregister_job_definition(jobDefinition=f"{name}:2")
    assert "not active" in refused(account.batch.submit_job, jobName="x", jobQueue="queue", jobDefinition=f"{name}:2")
    assert account.lines(account.run(definition=name)) == ["one"]


def test_at_most_a_hundred_jobs_are_described_and_fifty_ended_at_once(account: Any) -> None:
    refused(account.batch.describe_jobs, jobs=["x"] * 101)
    refused(account.batch.terminate_jobs, jobs=["x"] * 51, reason="y")
    assert account.batch.cancel_jobs(jobs=["x"] * 50, reason="y")["errors"] == []


def test_a_timeout_below_the_least_is_refused_in_definitions_too(account: Any) -> None:
    with pytest.raises(ClientError, match="attemptDurationSeconds"):
        account.define("true", timeout={"attemptDurationSeconds": 0})


def test_nonsense_in_place_of_a_request_is_refused(account: Any) -> None:
    for body in (b"", b"[]", b"nonsense", b"\xff", b'{"jobs": 3}', b'{"jobs": [[]]}'):
        address, credentials = f"{account.aws.endpoint_url}/v1/describejobs", account.aws.environment
        keys = Credentials(credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"])
        signed = AWSRequest("POST", address, data=body)
        SigV4Auth(keys, "batch", "us-east-1").add_auth(signed)
        request = urllib.request.Request(address, body, dict(signed.headers.items()))
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request)
        with refusal.value as answer:
            assert (answer.code, sorted(json.load(answer))) == (400, ["__type", "message"])


# S3 and the server itself


@pytest.fixture(scope="module")
def bucket(aws: LocalAWS) -> Any:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket-of-tests")
    yield s3
    s3.close()


def test_s3_keeps_keys_and_metadata_as_they_are(bucket: Any) -> None:
    key = "a//b/ö +%2F&=?"
    bucket.put_object(Bucket="bucket-of-tests", Key=key, Body=b"content", Metadata={"under_score": "1", "da-sh": "2"})
    answer = bucket.get_object(Bucket="bucket-of-tests", Key=key)
    assert (answer["Body"].read(), answer["Metadata"]) == (b"content", {"under_score": "1", "da-sh": "2"})
    assert bucket.head_object(Bucket="bucket-of-tests", Key=key)["ContentLength"] == 7
    bucket.delete_object(Bucket="bucket-of-tests", Key=key)


def test_a_large_object_comes_back_whole(bucket: Any) -> None:
    content = os.urandom(5_000_000)
    bucket.put_object(Bucket="bucket-of-tests", Key="large", Body=content)
    assert bucket.get_object(Bucket="bucket-of-tests", Key="large")["Body"].read() == content
    bucket.delete_object(Bucket="bucket-of-tests", Key="large")


def test_a_conditional_put_finds_an_object_that_is_there(bucket: Any) -> None:
    bucket.put_object(Bucket="bucket-of-tests", Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        bucket.put_object(Bucket="bucket-of-tests", Key="once", Body=b"2", IfNoneMatch="*")
    bucket.delete_object(Bucket="bucket-of-tests", Key="once")


def test_listings_say_what_they_said_before_they_were_made_fast(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("x/1", "x/2", "x/y/3", 'z<&>"'):
        bucket.put_object(Bucket="bucket-of-tests", Key=key, Body=key.encode())
    first = bucket.list_objects_v2(Bucket="bucket-of-tests", MaxKeys=2)
    assert [each["Key"] for each in first["Contents"]] == ["x/1", "x/2"]
    assert (first["IsTruncated"], first["KeyCount"], first["Contents"][0]["Size"]) == (True, 2, 3)
    assert first["Contents"][0]["LastModified"].tzinfo is not None
    rest = bucket.list_objects_v2(Bucket="bucket-of-tests", ContinuationToken=first["NextContinuationToken"])
    assert [each["Key"] for each in rest["Contents"]] == ["x/y/3", 'z<&>"']
    folded = bucket.list_objects_v2(Bucket="bucket-of-tests", Prefix="x/", Delimiter="/")
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["x/y/"]
    older = bucket.list_objects(Bucket="bucket-of-tests", Prefix="x/")
    assert [each["Key"] for each in older["Contents"]] == ["x/1", "x/2", "x/y/3"]
    assert bucket.list_objects_v2(Bucket="bucket-of-tests", Prefix="nothing")["KeyCount"] == 0
    assert listing({}).endswith("</ListBucketResult>")
    bucket.delete_objects(
        Bucket="bucket-of-tests", Delete={"Objects": [{"Key": key} for key in ("x/1", "x/2", "x/y/3", 'z<&>"')]}
    )


def test_calls_are_counted_by_operation_and_caller(account: Any) -> None:
    account.aws.reset_counters()
    s3 = account.aws.client("s3", config=Config(user_agent_appid="reader"))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.get_object(Bucket="bucket-of-nobody", Key="key")
    s3.close()
    account.run("true")
    refused(account.batch.describe_jobs, jobs=["x"] * 101)
    counted = account.aws.counters()
    assert counted.operations["batch.SubmitJob"] == 1
    assert counted.callers["user/boto3"]["batch.SubmitJob"] == 1
    assert counted.callers["user/reader"] == {"s3.GetObject": 1}
    assert (counted.errors["s3.GetObject"], counted.errors["batch.DescribeJobs"]) == (1, 1)
    account.aws.reset_counters()
    assert account.aws.counters().total == 0


def test_calls_of_jobs_are_told_from_calls_of_users(account: Any) -> None:
    account.aws.reset_counters()
    account.run("python", "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])")
    assert account.aws.counters().callers["job/boto3"] == {"sts.GetCallerIdentity": 1}


def test_many_clients_at_once_are_served(account: Any) -> None:
    definition = account.define("true")
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda _: account.submit(definition=definition), range(64)))
    assert len(set(ids)) == 64
    assert {account.wait(job_id)["status"] for job_id in ids} == {"SUCCEEDED"}
