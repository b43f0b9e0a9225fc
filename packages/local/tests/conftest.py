from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.batch import texts
from scaler_batch.local.batch.effects import Effect, StartProcess, StopProcess
from scaler_batch.local.batch.engine import Engine
from scaler_batch.local.batch.fleet import Site
from scaler_batch.local.batch.job import Job
from scaler_batch.local.batch.rules import Rules
from scaler_batch.local.batch.vocabulary import Definition, Environment, InstanceType, JobSpec, Resources, Scope

SCOPE = Scope("123456789012", "us-east-1")
DEFINITION = Definition(SCOPE.arn("job-definition/work:1"), "work", {"image": "any"})


class World:
    """An engine without a machine: queues that stand still, a clock that is set by hand, processes that are told."""

    def __init__(self, slots: int = 2, max_vcpus: float = 16, min_vcpus: float = 0, **rules: Any) -> None:
        self.max_vcpus = max_vcpus
        self.min_vcpus = min_vcpus
        self.priorities: dict[str, int] = {}
        self.types: tuple[InstanceType, ...] = ()
        self.sites: dict[str, Site | None] = {}
        self.now = 1000.0
        self.effects: list[Effect] = []
        self.rules = Rules(slots=slots, **rules)
        ids = map("{:032x}".format, itertools.count(1))
        self.engine = Engine(self.rules, self, lambda: next(ids))
        self._jobs = itertools.count(1)

    def environments(self, queue: str) -> list[Environment]:
        return [Environment("arn:ce", "ce", self.max_vcpus, types=self.types, min_vcpus=self.min_vcpus)]

    def priority(self, queue: str) -> int:
        return self.priorities.get(queue, 0)

    def site(self, environment: str, instance_type: str, nth: int) -> Site | None:
        return self.sites.get(instance_type, Site("subnet-1", connects=True))

    def spec(self, **changes: Any) -> JobSpec:
        given = {
            "scope": SCOPE,
            "name": "job",
            "queue": SCOPE.arn("job-queue/q"),
            "definition": DEFINITION,
            "command": ("true",),
            "environment": {},
            "resources": Resources(1, 128),
        }
        return JobSpec(**{**given, **changes})

    def submit(self, **changes: Any) -> Job:
        job = self.engine.submit(f"job-{next(self._jobs)}", self.spec(**changes), self.now)
        self.look()
        return job

    def look(self) -> list[Effect]:
        """Take what the engine wants, and keep it."""
        new = self.engine.take_effects()
        self.effects += new
        return new

    def launched(self) -> list[str]:
        return [effect.attempt for effect in self.effects if isinstance(effect, StartProcess)]

    def stopped(self) -> list[StopProcess]:
        return [effect for effect in self.effects if isinstance(effect, StopProcess)]

    def start(self, job: Job) -> str:
        """The process of a job that is STARTING comes into being."""
        assert job.current is not None
        attempt = job.current.id
        self.engine.process_started(attempt, self.now)
        self.look()
        return attempt

    def end(self, job: Job, code: int = 0) -> None:
        """The process of a running job ends."""
        assert job.current is not None
        self.engine.process_ended(job.current.id, texts.exited(code), self.now)
        self.look()

    def run(self, job: Job, code: int = 0) -> None:
        self.start(job)
        self.end(job, code)

    def after(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.engine.advance(self.now)
        self.look()

    def jump(self, seconds: float) -> None:
        """The clock shows another time."""
        self.now += seconds
        self.engine.clock_jumped(seconds)


@pytest.fixture
def make_world() -> type[World]:
    return World


class Account:
    """Batch on a server, with a compute environment, a queue and a definition, and short words for what tests do."""

    def __init__(self, aws: LocalAWS) -> None:
        self.aws = aws
        self.batch = aws.client("batch")
        self.logs = aws.client("logs")
        self._names = map("definition-{}".format, itertools.count(1))

    def close(self) -> None:
        self.batch.close()
        self.logs.close()

    def provision(self, max_vcpus: int = 64) -> None:
        with_network = self.aws.client("ec2"), self.aws.client("iam")
        ec2, iam = with_network
        profile = iam.create_instance_profile(InstanceProfileName="instances")["InstanceProfile"]["Arn"]
        self.batch.create_compute_environment(
            computeEnvironmentName="fleet",
            type="MANAGED",
            computeResources={
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": max_vcpus,
                "instanceTypes": ["default_x86_64"],
                "subnets": [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]],
                "securityGroupIds": [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]],
                "instanceRole": profile,
            },
        )
        for name in ("queue", "other"):
            self.batch.create_job_queue(
                jobQueueName=name, priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "fleet"}]
            )
        for client in with_network:
            client.close()

    def define(self, *command: str, **properties: Any) -> str:
        """Register a definition of a name of its own, and give its name."""
        name = next(self._names)
        container = {
            "image": "none",
            "command": list(command),
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
            **properties.pop("container", {}),
        }
        self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **properties
        )
        return name

    def submit(self, *command: str, **request: Any) -> str:
        """Submit a command, and give the job's id."""
        given = {"jobName": "job", "jobQueue": "queue", "jobDefinition": request.pop("definition", None)}
        given["jobDefinition"] = given["jobDefinition"] or self.define(*command)
        return str(self.batch.submit_job(**{**given, **request})["jobId"])

    def describe(self, job_id: str) -> dict[str, Any]:
        return dict(self.batch.describe_jobs(jobs=[job_id])["jobs"][0])

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job once it is in one of these states; in the last two if none are given."""
        wanted = states or ("SUCCEEDED", "FAILED")
        return until(lambda: self.describe(job_id), lambda job: job["status"] in wanted)

    def run(self, *command: str, **request: Any) -> dict[str, Any]:
        return self.wait(self.submit(*command, **request))

    def lines(self, job: dict[str, Any]) -> list[str]:
        """What the last attempt of a job has written so far."""
        stream = job["container"]["logStreamName"]
        events = self.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)
        return [event["message"] for event in events["events"]]


def until(look: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 30.0) -> Any:
    """Look until it is good. There is no event to wait for on the other side of an HTTP API."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.01)
    return seen


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return until


class Processes:
    """What the kernel says about processes."""

    def children(self, pid: int) -> list[int]:
        listings = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for listing in listings for child in listing.read_text().split()]

    def below(self, pid: int) -> list[int]:
        return [each for child in self.children(pid) for each in (child, *self.below(child))]

    def alive(self, pids: list[int]) -> list[int]:
        """Those that exist and have not ended."""
        return [pid for pid in pids if self._state(pid) not in {"", "Z", "X"}]

    def _state(self, pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(slots=4, stop_grace=0.5, minimum_timeout=1)) as running:
        yield running


@pytest.fixture(scope="session")
def account(aws: LocalAWS) -> Iterator[Account]:
    account = Account(aws)
    account.provision()
    yield account
    account.close()


@pytest.fixture
def open_account() -> Iterator[Callable[[LocalAWS], Account]]:
    """Batch on a server of the test's own."""
    accounts: list[Account] = []

    def open_one(aws: LocalAWS) -> Account:
        accounts.append(Account(aws))
        accounts[-1].provision()
        return accounts[-1]

    yield open_one
    for each in accounts:
        each.close()
