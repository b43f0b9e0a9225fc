"""An AWS of moto's in this process, brought nearer to the real one where it matters here."""

from __future__ import annotations

from fnmatch import fnmatch
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.client import ClientCreator
from botocore.loaders import create_loader
from moto import mock_aws
from moto.batch.models import BatchBackend, JobQueue
from moto.batch.responses import BatchResponse
from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import InstanceTypeOfferingBackend
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.iam.access_control import PermissionResult
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.s3.models import FakeBucket

from scaler_batch.provision import Patience, Settings, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ServiceModel

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch:1"
LOADER = create_loader()
CLASSES: dict[str, Any] = {}
NO_PATIENCE = Patience(ready=0, gone=0, propagation=0, related=0)
"""Everything in this AWS happens at once, so whoever waits has a fault."""
NONCE = "0123456789abcdef0123456789abcdef"
"""In place of a random one, so that runs without a file know what runs before them made."""
SERVICE_LINKED_ROLE = "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"


@pytest.fixture
def settings() -> Settings:
    return Settings(image=IMAGE)


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """A session with an empty account behind it."""
    monkeypatch.setattr(BatchBackend, "create_compute_environment", _with_service_linked_role)
    monkeypatch.setattr(BatchBackend, "update_compute_environment", _with_resources)
    monkeypatch.setattr(BatchResponse, "createjobqueue", _with_time_limits(BatchResponse.createjobqueue))
    monkeypatch.setattr(BatchResponse, "updatejobqueue", _with_time_limits(BatchResponse.updatejobqueue))
    monkeypatch.setattr(JobQueue, "describe", _telling_time_limits)
    monkeypatch.setattr(IAMBackend, "get_role_by_arn", _knowing_the_service_linked_role)
    monkeypatch.setattr(IAMBackend, "_init_aws_policies", _with_the_policy_for_agents)
    monkeypatch.setattr(FakeBucket, "get_permission", _over_tls)
    monkeypatch.setattr("scaler_batch.provision.site.Patience", lambda: NO_PATIENCE)
    monkeypatch.setattr("scaler_batch.provision.state.new_nonce", lambda: NONCE)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.setattr(InstanceTypeOfferingBackend, "matches_filters", _matching_wildcards)
    with mock_aws():
        session = open_session()
        monkeypatch.setattr(EC2Backend, "__init__", _with_a_way_out)
        monkeypatch.setattr(LaunchTemplate, "tags", property(LaunchTemplate.get_tags, _not_kept), raising=False)
        yield session


@pytest.fixture(autouse=True)
def clients_of_one_class_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making the class of a service's clients takes botocore longer than anything else that a test does."""
    monkeypatch.setattr(ClientCreator, "_create_client_class", _class_of_clients)


def _class_of_clients(self: ClientCreator, service_name: str, service_model: ServiceModel) -> Any:
    if service_name not in CLASSES:
        CLASSES[service_name] = _create_client_class(self, service_name, service_model)
    return CLASSES[service_name]


def open_session() -> boto3.Session:
    """A session of its own, so that a test may hook into it; what is slow to load is shared."""
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", botocore_session=core)


_create_client_class = ClientCreator._create_client_class
_create = BatchBackend.create_compute_environment
_update = BatchBackend.update_compute_environment
_get_role = IAMBackend.get_role_by_arn
_describe = JobQueue.describe
_begin_ec2 = EC2Backend.__init__


def _with_service_linked_role(self: Any, *, compute_resources: Any, service_role: Any, **rest: Any) -> Any:
    """AWS Batch takes its service-linked role where none is named, and knows default_x86_64. moto does neither."""
    known = ["optimal" if one == "default_x86_64" else one for one in compute_resources["instanceTypes"]]
    resources = {**compute_resources, "instanceTypes": known}
    made = _create(self, compute_resources=resources, service_role=service_role or SERVICE_LINKED_ROLE, **rest)
    made.compute_resources = compute_resources
    return made


def _with_resources(self: Any, *, compute_environment_name: str, compute_resources: Any, **rest: Any) -> Any:
    """AWS Batch takes new sizes. moto forgets them."""
    updated = _update(
        self, compute_environment_name=compute_environment_name, compute_resources=compute_resources, **rest
    )
    self.get_compute_environment(compute_environment_name).compute_resources.update(compute_resources or {})
    return updated


def _with_time_limits(respond: Any) -> Any:
    """AWS Batch keeps the time limits of a queue. moto forgets them."""

    def responding(self: Any) -> Any:
        answer = respond(self)
        name = self._get_param("jobQueueName") or self._get_param("jobQueue")
        limits = self._get_param("jobStateTimeLimitActions")
        if limits is not None:
            self.batch_backend.get_job_queue(name).time_limits = limits
        return answer

    return responding


def _telling_time_limits(self: Any) -> dict[str, Any]:
    return {**_describe(self), "jobStateTimeLimitActions": getattr(self, "time_limits", [])}


def _with_a_way_out(self: Any, region_name: str, account_id: str) -> None:
    """The default VPC of an account has an internet gateway. moto's has none."""
    _begin_ec2(self, region_name, account_id)
    gateway = self.create_internet_gateway()
    self.attach_internet_gateway(gateway.id, self.default_vpc.id)
    table = next(one for one in self.route_tables.values() if one.vpc_id == self.default_vpc.id)
    self.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)


def _matching_wildcards(self: Any, offering: dict[str, Any], filters: Any, location_type: str) -> bool:
    """EC2 takes wildcards in the values of filters. moto takes them at their word."""
    values = {"location": offering["Location"], "instance-type": offering["InstanceType"]}
    return all(_matches(values[key], tuple(wanted)) for key, wanted in filters.items())


@cache
def _matches(value: str, wanted: tuple[str, ...]) -> bool:
    return any(fnmatch(value, one) for one in wanted)


def _not_kept(self: Any, tags: Any) -> None:
    """EC2 shows the tags that a launch template has. moto shows those that it was made with."""


def _knowing_the_service_linked_role(self: Any, arn: str) -> Any:
    return None if arn == SERVICE_LINKED_ROLE else _get_role(self, arn)


def _with_the_policy_for_agents(self: Any) -> list[AWSManagedPolicy]:
    """AWS keeps some thousand policies, of which one is used here. moto knows none, or takes a second to load all."""
    dates = {"CreateDate": "2015-03-19T18:45:00", "UpdateDate": "2015-03-19T18:45:00"}
    data = {"DefaultVersionId": "v1", "Path": "/service-role/", "Document": AGENT, **dates}
    region = "cn-north-1" if self.partition == "aws-cn" else "us-east-1"
    return [AWSManagedPolicy.from_data("AmazonEC2ContainerServiceforEC2Role", self.account_id, region, data)]


def _over_tls(_: Any, action: str, resource: str) -> PermissionResult:
    """S3 denies what does not come over TLS. moto does not look at the condition, and denies all."""
    return PermissionResult.NEUTRAL


AGENT = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["ecs:*", "ecr:*"], "Resource": "*"}}

READING = ("Describe", "Get", "Head", "List")


class Interruption(BaseException):
    """What a lost connection, a power cut or a SIGKILL is to the code that it hits."""


class Calls:
    """Every call of a session that changes something; can cut the work off after one of them.

    The cut comes when AWS has done what was asked and before anyone here has heard of it: the worst moment.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.made: list[str] = []
        self.cut_after: int | None = None
        session.events.register("after-call", self._after_call)

    def _after_call(self, model: Any, **_: Any) -> None:
        if model.name.startswith(READING):
            return
        self.made.append(model.name)
        if len(self.made) == self.cut_after:
            raise Interruption


@pytest.fixture
def calls(aws: boto3.Session) -> Calls:
    """The calls of ``aws`` that change something, from now on."""
    return Calls(aws)


@pytest.fixture
def everything(aws: boto3.Session) -> Any:
    """A function that lists every resource of every service that provisioning touches."""

    session = open_session()

    @cache
    def clients(service: str) -> Any:
        return session.client(service, region_name="us-east-1")

    def listed() -> dict[str, list[str]]:
        batch, iam = clients("batch"), clients("iam")
        definitions = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        return {
            "repositories": [one["repositoryName"] for one in clients("ecr").describe_repositories()["repositories"]],
            "buckets": [one["Name"] for one in clients("s3").list_buckets()["Buckets"]],
            "log groups": [one["logGroupName"] for one in clients("logs").describe_log_groups()["logGroups"]],
            "roles": [one["RoleName"] for one in iam.list_roles()["Roles"]],
            "instance profiles": [
                one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"]
            ],
            "policies": [one["Arn"] for one in iam.list_policies(Scope="Local")["Policies"]],
            "compute environments": [
                one["computeEnvironmentName"] for one in batch.describe_compute_environments()["computeEnvironments"]
            ],
            "job queues": [one["jobQueueName"] for one in batch.describe_job_queues()["jobQueues"]],
            "job definitions": [f"{one['jobDefinitionName']}:{one['revision']}" for one in definitions],
            "security groups": [one["GroupId"] for one in clients("ec2").describe_security_groups()["SecurityGroups"]],
            "scheduling policies": [one["arn"] for one in batch.list_scheduling_policies()["schedulingPolicies"]],
            "launch templates": [
                one["LaunchTemplateName"] for one in clients("ec2").describe_launch_templates()["LaunchTemplates"]
            ],
            "parameters": [one["Name"] for one in clients("ssm").describe_parameters()["Parameters"]],
            "clusters": [one["clusterArn"] for one in _clusters(clients("ecs")) if one["status"] == "ACTIVE"],
        }

    return listed


def _clusters(ecs: Any) -> list[dict[str, Any]]:
    """The ECS clusters that AWS Batch made for itself."""
    return list(ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"])
