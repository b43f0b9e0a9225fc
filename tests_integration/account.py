"""The way of a first user, on a real account: everything is made, examined, used, disturbed and removed again.

``nox -s account -- --region eu-central-1 --prefix try-1`` costs some cents and takes a quarter of an hour. Worker,
scheduler and client run on this machine. What is not an option of this program is passed to ``scaler-batch-provision
provision`` (``--image``, ``--vpc``, ``--fair-share``). At the end there is a report in Markdown; it names no account.

::

    provision ─► doctor ─► harness ─► faults ─► cleanup ─► is anything left?
         └──────────┴──────────┴─────────┴─────────┘  whatever fails, the cleanup comes
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

import account_faults as faults
import inventory
from account_report import Explained, Report, Step, Verdict, page
from csm import RequestCounter
from scaler_batch.aws import partition_of
from scaler_batch.provision import SettingsError, Target
from scaler_batch.provision.naming import Account, Names
from stack import Options, Part, Stack

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "build" / "account.md"
PACKAGES = ("adapter", "aws", "payload", "provision", "runner", "tasks", "wire")
COLD = 1200.0
"""Seconds for a machine to come, its image to be pulled, and a job to be answered."""

MAX_VCPUS = 4
"""Enough for two jobs at a time, whichever instance type AWS Batch takes; and a bound to what this can cost."""

MOST_EXPLAINED = 8
PASSED, FAILED, USAGE = 0, 1, 2


class StepFailedError(Exception):
    """A step failed without which those after it make no sense."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything; return 0 if all went well and nothing is left, 1 if not, 2 for wrong options."""
    options, for_provision = parser().parse_known_args(argv)
    if options.profile:
        os.environ["AWS_PROFILE"] = options.profile
    session = boto3.Session(region_name=options.region)
    caller = who(session)
    if isinstance(caller, str):
        print(f"skipped: {caller}")
        return PASSED
    if options.may_run:
        return PASSED
    try:
        target = Target(prefix=options.prefix, region=options.region)
    except SettingsError as error:
        print(f"{error}: {error.fix}", file=sys.stderr)
        return USAGE
    names = Names(target, Account(caller["Account"], partition_of(options.region)))
    run = AccountRun(session, names, with_defaults(for_provision), options)
    report = run.run()
    text = page(report, secrets())
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(text)
    print(f"\n{text}\nThe report is in {options.report}")
    return PASSED if report.passed else FAILED


def parser() -> argparse.ArgumentParser:
    """Our options; all others are the provisioner's."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--region", required=True, help="AWS region")
    command.add_argument("--prefix", required=True, help="begins the name of everything; one that is not in use")
    command.add_argument("--profile", help="profile of the AWS configuration")
    command.add_argument("--share-identifier", metavar="NAME", help="of the worker, with --fair-share")
    command.add_argument("--report", type=Path, default=REPORT, metavar="PATH", help="default: %(default)s")
    command.add_argument("--keep", action="store_true", help="do not clean up; look around, then run cleanup yourself")
    command.add_argument("--may-run", action="store_true", help="only say why this cannot run; nothing if it can")
    return command


def who(session: boto3.Session) -> dict[str, Any] | str:
    """Whose credentials these are; or a sentence that says why there are none."""
    try:
        with contextlib.closing(session.client("sts")) as sts:
            return dict(sts.get_caller_identity())
    except (BotoCoreError, ClientError) as error:
        return f"no AWS credentials can be used ({error}); see docs/guide/account.md"


def with_defaults(for_provision: Sequence[str]) -> list[str]:
    """The provisioner's options, with few vCPUs, and an image for this very Python where none is named."""
    chosen = list(for_provision)
    named = {one.partition("=")[0] for one in chosen}
    if "--max-vcpus" not in named:
        chosen += ["--max-vcpus", str(MAX_VCPUS)]
    if "--image" not in named:
        chosen += ["--python", "{}.{}".format(*sys.version_info), "--wheels", str(ROOT / "wheelhouse")]
    return chosen


def value_of(option: str, words: Sequence[str], default: str) -> str:
    """What an option was given in a command line."""
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else words[at + 1]
    return default


def secrets() -> list[str]:
    """What must not be in the report, as far as the environment tells."""
    return [os.environ.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]


@dataclass
class AccountRun:
    """One run: steps, and what they have learned.

    Attributes:
        session: Reaches the account.
        names: What everything is called.
        for_provision: Options of the provisioner.
        options: Options of this program.
    """

    session: boto3.Session
    names: Names
    for_provision: list[str]
    options: argparse.Namespace
    report: Report = field(default_factory=Report)
    _jobs: set[str] = field(default_factory=set)
    _first_job: float | None = None
    _workers: int = 0
    _counting: dict[str, str] = field(default_factory=dict)

    def run(self) -> Report:
        """Go through all steps; whatever happens, clean up and look for what is left."""
        self.report.facts = self._facts()
        self.report.vcpus = int(value_of("--max-vcpus", self.for_provision, "0"))
        self.report.gpus = value_of("--gpus", self.for_provision, "0") != "0"
        worker = ("--job-timeout-minutes", "1", "--name", "account-test", "--metrics-port", "0", *self._share)
        with Stack(Options(worker=worker)) as stack, contextlib.suppress(StepFailedError, KeyboardInterrupt):
            with self._step("nothing of this prefix is there yet"):
                self._see_that_prefix_is_free()
            with RequestCounter() as requests:
                self._counting = requests.environment
                self.report.calls["provisioner"] = requests.counted
                try:
                    self._use(stack)
                finally:
                    self._remove(stack)
        return self.report

    @property
    def _share(self) -> tuple[str, ...]:
        """Whose share worker and doctor name, as their option."""
        share = self.options.share_identifier
        return ("--share-identifier", share) if share else ()

    def _use(self, stack: Stack) -> None:
        with self._step("provision") as note:
            found = self._provisioner(stack, "provision", *self.for_provision)
            stack.provisioned = found["environment"]
            note(f"{len(found['changed'])} resources")
        self._examine(stack)
        with self._step("start object storage, scheduler and worker"):
            stack.start_storage()
            stack.start_scheduler()
            self._start_worker(stack)
        self._first_job = time.monotonic()
        try:
            with self._step("harness") as note:
                said = stack.run("harness", "-m", "scaler_batch.adapter.harness", *self._harness_options(stack))
                note(said.strip().splitlines()[-1])
            self._disturb(stack)
        finally:
            self._explain(stack)
            self._leave(stack)

    def _examine(self, stack: Stack) -> None:
        with self._step("doctor", go_on=True) as note:
            found = self._provisioner(stack, "doctor", *self._share, prefix=False)
            counted = Counter(one["verdict"] for one in found["findings"])
            note(", ".join(f"{count} {verdict}" for verdict, count in counted.items()))
            told = [f"{one['verdict']} {one['subject']}: {one['message']}" for one in found["findings"]]
            self.report.details.append(("What the doctor said", "\n".join(told)))

    def _disturb(self, stack: Stack) -> None:
        """Have everything go wrong that can be made to."""
        os.environ["SCALER_NETWORK_BACKEND"] = "zmq"
        with faults.Client(address=stack.scheduler_address) as client, self._client("batch") as batch:
            queue = stack.provisioned["SCALER_JOB_QUEUE"]
            memory = int(value_of("--memory", self.for_provision, "2048"))
            scene = faults.Scene(client, batch, queue, memory, lambda: self._restart_worker(stack), COLD)
            with self._step("a task that takes too long: begun"):
                late = faults.TimeOut.begin(scene)
            for name, fault in faults.FAULTS.items():
                self._fault(name, lambda fault=fault: fault(scene))  # type: ignore[misc]
            self._fault("a task that takes too long", lambda: late.end(scene))
            self._fault("a worker that is stopped in the middle", lambda: faults.loses_its_worker(scene))

    def _fault(self, name: str, happen: Callable[[], str]) -> None:
        with self._step(name, go_on=True) as note:
            note(happen())

    def _explain(self, stack: Stack) -> None:
        """Ask why jobs wait or have failed."""
        with self._step("why, of jobs that wait or have failed", go_on=True) as note:
            with self._client("batch") as batch:
                queue = stack.provisioned["SCALER_JOB_QUEUE"]
                self._jobs |= set(faults.jobs_of(batch, queue, *faults.ACTIVE, *faults.OVER))
                found = faults.jobs_of(batch, queue, "RUNNABLE", "STARTING", "FAILED")
            for job in found[:MOST_EXPLAINED]:
                told = self._provisioner(stack, "why", job, prefix=False)
                self.report.explained.append(Explained(job, told["status"], told["story"], told["fix"]))
            note(f"{len(found)} jobs")

    def _leave(self, stack: Stack) -> None:
        """Stop the worker, and see what it has left in queue and bucket."""
        with self._step("stop the worker: no job and no object is left", go_on=True) as note:
            self._stop_worker(stack)
            with self._client("s3") as s3, self._client("batch") as batch:
                bucket, queue = stack.provisioned["SCALER_S3_BUCKET"], stack.provisioned["SCALER_JOB_QUEUE"]
                keys = inventory.keys(s3, bucket)
                jobs = faults.jobs_of(batch, queue, *faults.ACTIVE)
            if keys or jobs:
                raise faults.UnexpectedError(f"left: {len(keys)} objects {keys[:5]}, {len(jobs)} jobs {jobs[:5]}")
            note("leases, packs and outcomes are gone")

    def _remove(self, stack: Stack) -> None:
        if self.options.keep:
            self.report.steps.append(Step("cleanup", 0, Verdict.SKIPPED, "--keep; run cleanup yourself"))
            return
        with self._step("cleanup", go_on=True) as note:
            found = self._provisioner(stack, "cleanup", "--yes")
            note(f"{len(found['removed'])} resources removed, {len(found['left'])} left")
        began = self._first_job
        self.report.seconds_of_machines = 0.0 if began is None else time.monotonic() - began
        with self._step("is anything left?", go_on=True) as note:
            left, self.report.unseen = inventory.of_prefix(self._open, self.names)
            with self._client("batch") as batch:
                left["jobs"] = alive(batch, sorted(self._jobs))
            self.report.left = left
            note(f"{sum(map(len, left.values()))} things of {len(left)} kinds")

    def _see_that_prefix_is_free(self) -> None:
        found, unseen = inventory.of_prefix(self._open, self.names)
        there = [name for named in found.values() for name in named]
        if there:
            raise faults.UnexpectedError(f"there is {', '.join(there)}: choose another --prefix, or clean it up first")
        self.report.unseen = unseen

    def _start_worker(self, stack: Stack) -> None:
        self._workers += 1
        stack.start_adapter(f"worker {self._workers}")

    def _stop_worker(self, stack: Stack) -> None:
        name = f"worker {self._workers}"
        part = stack.part(name)
        self.report.calls[name] = requests_of(part)
        stack.stop(part)

    def _restart_worker(self, stack: Stack) -> None:
        self._stop_worker(stack)
        self._start_worker(stack)

    def _harness_options(self, stack: Stack) -> tuple[str, ...]:
        return ("--scheduler", stack.scheduler_address, "--timeout", str(COLD))

    def _provisioner(self, stack: Stack, command: str, *options: str, prefix: bool = True) -> dict[str, Any]:
        """Run a command of the provisioner, and return what it says as JSON."""
        target = self.names.target
        of_target = ("--region", target.region, "--prefix", target.prefix) if prefix else ()
        words = ("-m", "scaler_batch.provision", command, *options, *of_target, "--json")
        said = stack.run(command, *words, environment=self._counting)
        return dict(json.loads(said[said.index("{") :]))

    def _open(self, service: str) -> Any:
        return self.session.client(service)

    def _client(self, service: str) -> contextlib.closing[Any]:
        return contextlib.closing(self._open(service))

    @contextlib.contextmanager
    def _step(self, name: str, *, go_on: bool = False) -> Iterator[Callable[[str], None]]:
        """Record a step. One that fails is the last but for the cleanup, unless others can go on without it."""
        print(f"{name + ' ':.<60}", end="", flush=True)
        began, noted = time.monotonic(), list[str]()
        verdict = Verdict.OK
        try:
            yield noted.append
        except KeyboardInterrupt:
            verdict = Verdict.FAILED
            noted.append("interrupted")
            raise
        except Exception as error:
            verdict = Verdict.FAILED
            noted.append(f"{error}".splitlines()[0] if str(error) else type(error).__name__)
            self.report.details.append((f"What failed: {name}", f"{error}"))
            if not go_on:
                raise StepFailedError from error
        finally:
            seconds = time.monotonic() - began
            self.report.steps.append(Step(name, seconds, verdict, "; ".join(noted)))
            print(f" {seconds:7.1f} s {verdict}", flush=True)

    def _facts(self) -> dict[str, str]:
        ours = ", ".join(f"{name} {version(f'scaler-batch-{name}')}" for name in PACKAGES)
        others = ", ".join(f"{name} {version(name)}" for name in ("opengris-scaler", "boto3", "obstore"))
        return {
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "region": f"{self.names.target.region}, partition {self.names.account.partition}",
            "options": " ".join(self.for_provision).replace(str(ROOT), "."),
            "scaler-batch": ours,
            "with": f"Python {platform.python_version()} on {platform.machine()}, {others}",
        }


def alive(batch: Any, jobs: Sequence[str]) -> list[str]:
    """Those of these jobs that are not over."""
    found = [
        job for at in range(0, len(jobs), 100) for job in batch.describe_jobs(jobs=list(jobs[at : at + 100]))["jobs"]
    ]
    return [job["jobId"] for job in found if job["status"] not in faults.OVER]


def requests_of(worker: Part) -> Counter[str]:
    """Requests that a worker has made so far, to S3 as well, by operation; nothing where it does not answer."""
    found: Counter[str] = Counter()
    url = worker.log.read_text(errors="replace").partition("metrics at ")[2].partition("/metrics")[0]
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
        for each in json.load(answer)["workers"]:
            found.update(each["calls"])
    return found


if __name__ == "__main__":
    sys.exit(main())
