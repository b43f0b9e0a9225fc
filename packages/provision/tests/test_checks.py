"""What the checks of an examination say of what they see."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload.contract import RUNNER_COMMAND
from scaler_batch.provision import Handover, SettingsError
from scaler_batch.provision.checks import bucket, credentials, definition, image, memory, queue, quotas, scheduler
from scaler_batch.provision.checks.memory import Size
from scaler_batch.provision.checks.scene import Found, Scene
from scaler_batch.provision.finding import Finding, Verdict
from scaler_batch.provision.instance_types import Architecture, architecture_of, has_gpus, patterns
from scaler_batch.provision.naming import Account

ACCOUNT = Account("123456789012", "aws")
SCENE: Any = Scene(None, ACCOUNT, Handover("us-east-1", "b", "q", "d"), "scaler-tasks", "3.12")  # type: ignore[arg-type]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
QUEUE = {"jobQueueName": "q", "state": "ENABLED", "status": "VALID"}
COMPUTE = {"type": "EC2", "maxvCpus": 8, "instanceTypes": ["c6i"]}
ENVIRONMENT = {"computeEnvironmentName": "c", "state": "ENABLED", "status": "VALID", "computeResources": COMPUTE}
CONTAINER = {"command": list(RUNNER_COMMAND), "resourceRequirements": [{"type": "VCPU", "value": "4"}]}
DEFINITION = {"jobDefinitionName": "d", "revision": 3, "type": "container", "containerProperties": CONTAINER}


def found(**others: Any) -> Found:
    return Found(**{"definition": DEFINITION, "queue": QUEUE, "environments": (ENVIRONMENT,), **others})


def assert_says(finding: Finding, verdict: Verdict, *words: str) -> None:
    assert finding.verdict is verdict, finding
    said = f"{finding.message} {finding.fix}"
    assert all(word in said for word in words), said
    assert finding.fix or verdict in (Verdict.OK, Verdict.SKIPPED), "whoever complains names the way out"


@pytest.mark.parametrize(
    ("left", "verdict", "words"),
    [
        (None, Verdict.OK, "no end is known"),
        (timedelta(hours=1), Verdict.OK, "60 minutes"),
        (timedelta(minutes=14), Verdict.WARNING, "14 minutes"),
        (timedelta(minutes=-5), Verdict.WARNING, "0 minutes"),
    ],
)
def test_credentials_that_end_soon_are_told_of(left: timedelta | None, verdict: Verdict, words: str) -> None:
    assert_says(credentials.judge(ACCOUNT, "us-east-1", left and NOW + left, NOW), verdict, words)


def test_a_missing_queue_is_called_what_the_guide_calls_it() -> None:
    finding = queue.judge_queue(found(queue=None), SCENE)
    assert_says(finding, Verdict.PROBLEM, "No scaler job queue found", "scaler-batch-provision provision")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "takes jobs"),
        ({"state": "DISABLED"}, "DISABLED, VALID"),
        ({"status": "INVALID", "statusReason": "CLIENT_ERROR - no role"}, "CLIENT_ERROR - no role"),
    ],
)
def test_a_queue_that_takes_no_jobs_is_a_problem(state: dict[str, str], words: str) -> None:
    verdict = Verdict.PROBLEM if state else Verdict.OK
    assert_says(queue.judge_queue(found(queue={**QUEUE, **state}), SCENE), verdict, words)


@pytest.mark.parametrize(
    ("policy", "share", "verdict", "words"),
    [
        (None, None, Verdict.OK, "asks for no share"),
        ("arn:policy", "blue", Verdict.OK, "blue"),
        ("arn:policy", None, Verdict.WARNING, "--share-identifier"),
        (None, "blue", Verdict.PROBLEM, "without --share-identifier"),
    ],
)
def test_a_share_is_named_where_the_queue_is_shared_out_and_nowhere_else(
    policy: str | None, share: str | None, verdict: Verdict, words: str
) -> None:
    assert_says(queue.judge_share({**QUEUE, "schedulingPolicyArn": policy}, share), verdict, words)


@pytest.mark.parametrize(
    ("environments", "verdict", "words"),
    [
        ((), Verdict.PROBLEM, "leads to none"),
        ((ENVIRONMENT,), Verdict.OK, "grows to 8 vCPUs"),
        (({**ENVIRONMENT, "state": "DISABLED"},), Verdict.PROBLEM, "DISABLED"),
        (({**ENVIRONMENT, "status": "INVALID", "statusReason": "why"},), Verdict.PROBLEM, "why"),
        (({**ENVIRONMENT, "computeResources": {**COMPUTE, "maxvCpus": 2}},), Verdict.PROBLEM, "--max-vcpus"),
    ],
)
def test_an_environment_that_cannot_run_jobs_is_a_problem(environments: Any, verdict: Verdict, words: str) -> None:
    (finding,) = queue.judge_environments(found(environments=environments))
    assert_says(finding, verdict, words)


@pytest.mark.parametrize(
    ("reason", "verdict", "words"),
    [
        ("", Verdict.WARNING, "--max-concurrent-jobs"),
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x", Verdict.PROBLEM, "--instance-types"),
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x", Verdict.PROBLEM, "--max-vcpus"),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x", Verdict.PROBLEM, "--memory"),
        ("MISCONFIGURATION:SOMETHING_NEW", Verdict.PROBLEM, "misconfigured"),
    ],
)
def test_jobs_that_cannot_start_are_told_with_the_reason(reason: str, verdict: Verdict, words: str) -> None:
    jobs = [{"jobId": "1"}, {"jobId": "2", "statusReason": reason}]
    assert_says(queue.judge_waiting(jobs), verdict, "2 jobs wait", words)


def test_the_last_failure_is_named() -> None:
    jobs = [{"jobId": "old", "stoppedAt": 1}, {"jobId": "new", "stoppedAt": 2, "statusReason": "it broke"}]
    assert_says(queue.judge_failed(jobs), Verdict.WARNING, "new: it broke", "why new")
    assert queue.judge_failed([]).verdict is queue.judge_waiting([]).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (None, "no active job definition d"),
        ({"type": "multinode"}, "not of the type container"),
        ({"containerProperties": {"command": ["true"]}}, "does not start the runner"),
    ],
)
def test_a_definition_that_does_not_start_the_runner_is_a_problem(changed: dict[str, Any] | None, words: str) -> None:
    one = None if changed is None else {**DEFINITION, **changed}
    assert_says(definition.judge(found(definition=one), SCENE), Verdict.PROBLEM, words)
    assert_says(definition.judge(found(), SCENE), Verdict.OK, "d:3")


def test_a_job_that_fits_no_instance_is_a_problem() -> None:
    sizes = [Size(4096, 2, "c6i.large"), Size(8192, 4, "c6i.xlarge")]
    assert_says(memory.judge(1, 3686, sizes, ("c6i",)), Verdict.OK, "c6i.large and larger")
    assert_says(memory.judge(4, 1000, sizes, ("c6i",)), Verdict.OK, "c6i.xlarge")
    assert_says(memory.judge(1, 8192, sizes, ("c6i",)), Verdict.PROBLEM, "c6i.xlarge", "RUNNABLE")
    assert_says(memory.judge(8, 1000, sizes, ("c6i",)), Verdict.PROBLEM, "--instance-types")
    assert memory.judge(1, 1, [], ("mars1",)).verdict is Verdict.SKIPPED


def test_a_job_with_gpus_needs_an_instance_with_as_many() -> None:
    sizes = [Size(16384, 4, "g5.xlarge", 1), Size(196608, 48, "g5.12xlarge", 4), Size(65536, 64, "c6i.16xlarge")]
    assert_says(memory.judge(1, 1000, sizes, ("g5",), gpus=2), Verdict.OK, "2 GPUs", "g5.12xlarge")
    assert_says(memory.judge(1, 1000, sizes, ("g5",), gpus=8), Verdict.PROBLEM, "4 GPUs", "--gpus")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("g4dn.xlarge", True), ("g5", True), ("p4d", True), ("gr6", True), ("g4ad", False), ("p3", False), ("c6i", False),
     ("g5g", False), ("default_x86_64", False), ("inf2", False)],
)  # fmt: skip
def test_only_some_types_have_gpus_that_a_container_can_be_given(name: str, expected: bool) -> None:
    assert has_gpus(name) is expected


def test_what_the_provisioner_gives_a_container_fits_an_instance_of_that_size() -> None:
    for gigabytes in (2, 4, 8, 16):
        assert Size(gigabytes * 1024, 1, "x").holds(1, gigabytes * 1024 * 9 // 10)


def test_families_and_names_of_batchs_own_are_looked_for_as_ec2_knows_them() -> None:
    assert patterns(["m5.large", "c6i", "default_x86_64"])[:3] == ["m5.large", "c6i.*", "m6i.*"]
    assert patterns(["optimal"]) == patterns(["default_x86_64"])


def test_a_quota_below_what_is_wanted_is_told() -> None:
    assert_says(quotas.judge("EC2", 256, 1, 512), Verdict.OK, "512 on-demand")
    assert_says(quotas.judge("EC2", 256, 1, 5), Verdict.WARNING, "L-1216C47A")
    assert_says(quotas.judge("SPOT", 256, 8, 5), Verdict.PROBLEM, "L-34B43A08")


@pytest.mark.parametrize(("types", "expected"), [({"m5.large", "c6i", "optimal"}, True), ({"g5.xlarge"}, False)])
def test_only_standard_families_count_against_the_standard_quota(types: set[str], expected: bool) -> None:
    assert quotas.standard(types) is expected
    assert not quotas.standard({"trn1.2xlarge"})
    assert not quotas.standard({"mac1.metal"})


@pytest.mark.parametrize(
    ("types", "architecture"),
    [
        (
            "m5 m6i.large c7i-flex g4dn.xlarge p4de u-6tb1.metal u7i-12tb x2iedn inf2 trn1n optimal",
            "amd64",
        ),
        ("a1 m6g c7gn.large t4g x2gd im4gn is4gen i4g hpc7g r8gd g5g.xlarge p6e-gb200 default_arm64", "arm64"),
    ],
)
def test_the_architecture_of_instances_follows_from_their_names(types: str, architecture: str) -> None:
    assert {one: architecture_of(one) for one in types.split()} == dict.fromkeys(types.split(), architecture)


@given(st.text())
def test_no_name_of_a_type_breaks_the_reading(text: str) -> None:
    assert architecture_of(text) in Architecture
    assert has_gpus(text) in (True, False)


@pytest.mark.parametrize(
    ("configuration", "verdict", "words"),
    [
        ({"architecture": "arm64"}, Verdict.OK, "arm64"),
        ({"architecture": "amd64"}, Verdict.PROBLEM, "--platform linux/arm64"),
        ({}, Verdict.WARNING, "does not tell"),
        (None, Verdict.WARNING, "does not tell"),
    ],
)
def test_the_images_architecture_must_be_that_of_the_instances(
    configuration: Any, verdict: Verdict, words: str
) -> None:
    assert_says(image.judge_architecture(configuration, Architecture.ARM64), verdict, words)


@pytest.mark.parametrize(
    ("code", "words"),
    [("404", "there is no bucket b"), ("301", "another region"), ("403", "may not look")],
)
def test_a_bucket_that_cannot_be_had_is_a_problem(code: str, words: str) -> None:
    assert_says(bucket.absent("b", code), Verdict.PROBLEM, words)


@pytest.mark.parametrize(
    ("configuration", "verdict", "words"),
    [
        ({"config": {"Env": ["PATH=x", "PYTHON_VERSION=3.12.7"]}}, Verdict.OK, "3.12.7"),
        ({"config": {"Labels": {"scaler-batch.python": "3.12"}, "Env": None}}, Verdict.OK, "3.12"),
        ({"config": {"Env": ["PYTHON_VERSION=3.11.9"]}}, Verdict.PROBLEM, "--python 3.12"),
        ({"config": {"Env": ["PATH=x"]}}, Verdict.WARNING, "does not tell"),
        ({"config": None}, Verdict.WARNING, "does not tell"),
        (None, Verdict.WARNING, "does not tell"),
    ],
)
def test_the_images_python_must_be_the_clients(configuration: Any, verdict: Verdict, words: str) -> None:
    assert_says(image.judge_python(configuration, "3.12"), verdict, words)


def test_images_are_found_where_their_uri_says() -> None:
    digest = "sha256:" + "a" * 64
    here = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert image.locate("docker/python:3") is None
    for uri, repository, identifier in (
        (f"{here}/a/b:1.0", "a/b", {"imageTag": "1.0"}),
        (f"{here}/a", "a", {"imageTag": "latest"}),
        (f"{here}/a:1@{digest}", "a", {"imageDigest": digest}),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.cn/a:1", "a", {"imageTag": "1"}),
    ):
        location = image.locate(uri)
        assert location
        assert (location.region, location.repository, location.identifier) == ("us-east-1", repository, identifier)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "tcp://127.0.0.1", "tcp://:1", "tcp://h:port", "ipc:///tmp/x", "tcp://[x"]
)
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="no address"):
        scheduler.parse(address)


def test_where_nobody_said_which_python_clients_run_a_difference_is_a_warning() -> None:
    finding = image.judge_python({"config": {"Env": ["PYTHON_VERSION=2.7.18"]}}, None)
    assert_says(finding, Verdict.WARNING, "2.7.18", "doctor --python")


@given(st.text() | st.from_regex(r"tcp://[^/]*"))
def test_no_address_breaks_the_parser(text: str) -> None:
    with suppress(SettingsError):
        host, port = scheduler.parse(text)
        assert host
        assert 0 < port < 65536


@given(st.text() | st.from_regex(r"\d{12}\.dkr\.ecr\..*"))
def test_no_uri_breaks_the_finder_of_images(text: str) -> None:
    location = image.locate(text)
    assert location is None or (location.repository and list(location.identifier.values()))


json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["config", "Env", "Labels"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["config", "manifests"]), json_values))
def test_no_configuration_of_an_image_breaks_the_examination(found: dict[str, Any]) -> None:
    assert image.judge_python(found, "3.12").subject == image.PYTHON
    image.platform_digest(found, "arm64")
    assert image.judge_architecture(found, Architecture.ARM64).subject == image.ARCHITECTURE
    image.configuration_digest(found)
