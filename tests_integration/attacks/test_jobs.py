"""What tasks try on each other, on their runner, and on the jobs and leases of other workers."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import cloudpickle
import pytest
from scaler import Client

from scaler_batch.adapter import member
from scaler_batch.local.faults import Reclaim
from scaler_batch.payload import (
    Call,
    Outcome,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    decode_outcomes,
    encode_pack,
    keys,
    place,
)
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.keys import outcome_folder
from scaler_batch.payload.placement import MAX_INLINE_LIMIT
from scaler_batch.provision import policies
from scaler_batch.tasks.leases import Place
from stack import Options, Stack
from systems import SECONDS, Gate, System, hold, lives, until_says
from watching import wait_for

cloudpickle.register_pickle_by_value(sys.modules[__name__])


ORDINARY = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
"""Makes root what it is in a container: without power over processes that are not its own to look into."""


def run_bundle(cloud: Stack, *calls: Call, processes: int) -> list[Outcome]:
    """Run a runner as a container does, and return what it has published, by position."""
    within: tuple[str, ...] = ()
    if os.getuid() == 0:
        if shutil.which(ORDINARY[0]) is None or subprocess.run([*ORDINARY, "true"], capture_output=True).returncode:
            pytest.skip("root cannot be made an ordinary user here")
        within = ORDINARY
    bucket, region = cloud.provisioned["SCALER_S3_BUCKET"], cloud.environment["AWS_DEFAULT_REGION"]
    run = RunLocation(bucket, "scaler-tasks", uuid4().hex, region)
    pack = place(encode_pack([calls], processes=processes), inline_limit=MAX_INLINE_LIMIT).parameter
    submission = RunSeal(run, Seal.new()).submission(1)
    words = ("--run", str(run), "--sequence", "1", "--pack", pack, "--key", submission.key.reveal())
    command = [*within, sys.executable, "-m", "scaler_batch.runner", *words]
    environment = cloud.environment | {"AWS_BATCH_JOB_ID": "job"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    s3, folder = cloud.aws("s3"), f"{run.root}/{outcome_folder(1, None)}/"
    stored = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]]
    seal, start = submission.job(None), len(run.root) + 1
    signed = {key[start:]: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in stored}
    found = [decode_outcomes(seal.open(key, data))[0] for key, data in signed.items()]
    return sorted((outcome for outcomes in found for outcome in outcomes), key=lambda outcome: outcome.position)


def answer_for_all() -> str:
    """Have the process answer every call that it runs from now on with what that call was given."""
    import os

    from scaler_batch.runner import execution

    def forged(call: Any, name: Any) -> bytes:
        serializer = execution.open_call(call).serializer
        return serializer.serialize(("forged", [bytes(each) for each in call.arguments]))

    execution._value = forged  # type: ignore[assignment]
    return os.environ["AWS_BATCH_JOB_ID"]


def keep_secret(password: str) -> tuple[str, str]:
    """An honest task, with something in its arguments that nobody else is to see."""
    import os

    return os.environ["AWS_BATCH_JOB_ID"], password


def test_a_client_neither_reads_nor_answers_for_tasks_of_another(system: System, gate: Gate) -> None:
    one_process = ("--max-concurrent-jobs", "1", "--tasks-per-job", "8", "--processes", "1")
    worker = system.start_worker("shares", *one_process, "--log-level", "DEBUG")
    attacker, victim = system.client(), system.client()
    first = attacker.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    # All of them wait for the only slot, the attacker's first.
    attack = attacker.submit(answer_for_all)
    honest = [victim.submit(keep_secret, f"password-{number}") for number in range(6)]
    wait_for(lambda: worker.log.read_text().count("is taken on") == 8)
    gate.open()
    assert first.result(SECONDS) == 7
    results = [future.result(SECONDS) for future in honest]
    assert [password for _, password in results] == [f"password-{number}" for number in range(6)]
    jobs = {job for job, _ in results}
    assert len(jobs) == 1, "tasks of one client share a job as before"
    assert attack.result(SECONDS) not in jobs


def test_no_client_learns_the_key_of_anothers_jobs_from_the_parameters_of_its_own(system: System, gate: Gate) -> None:
    worker = system.start_worker("arrays", "--max-concurrent-jobs", "2", "--tasks-per-job", "1", "--log-level", "DEBUG")
    attacker, victim = system.client(), system.client()
    first = [attacker.submit(hold, str(gate.folder), number) for number in range(2)]
    wait_for(lambda: gate.started == 2)
    # All of them wait for slots, by turns, and jobs of one array have one set of parameters.
    both = [client.submit(keep_secret, "password") for _ in range(4) for client in (attacker, victim)]
    wait_for(lambda: worker.log.read_text().count("is taken on") == 10)
    gate.open()
    assert [future.result(SECONDS) for future in first] == [0, 1]
    submissions = [future.result(SECONDS)[0].partition(":")[0] for future in both]
    assert not set(submissions[::2]) & set(submissions[1::2])


def forge(folder: str) -> list[str]:
    """Write into whatever a neighbour answers in, by every door there is, while the runner cannot look."""
    import ctypes
    import os
    import signal
    import time
    from pathlib import Path

    opened: list[str] = []
    libc = ctypes.CDLL(None, use_errno=True)

    def overwrite(door: str, path: str) -> None:
        try:
            file = os.open(path, os.O_RDWR)
            found = os.pread(file, 65536, 0)
            if b"honest" in found and os.pwrite(file, b"forged", found.rindex(b"honest")):
                opened.append(door)
            os.close(file)
        except OSError:
            pass

    def parent(pid: str) -> int:
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
        except OSError:
            return 0

    runner = os.getppid()
    while not (Path(folder) / "begun").exists():
        time.sleep(0.01)
    siblings = [int(each) for each in os.listdir("/proc") if each.isdigit() and parent(each) == runner]
    family = [runner, *(pid for pid in siblings if pid != os.getpid())]
    os.kill(runner, signal.SIGSTOP)
    try:
        (Path(folder) / "go").touch()
        time.sleep(0.5)  # in which the neighbour answers
        for number in os.listdir("/proc/self/fd"):
            overwrite("its own files", f"/proc/self/fd/{number}")
        for pid in family:
            try:
                files = os.listdir(f"/proc/{pid}/fd")
            except OSError:
                files = [str(number) for number in range(3, 30)]
            for number in files:
                overwrite("another's files", f"/proc/{pid}/fd/{number}")
            pidfd = os.pidfd_open(pid)
            if libc.syscall(438, pidfd, 3, 0) >= 0:
                opened.append("another's descriptors")
            try:
                os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
                opened.append("another's memory")
            except OSError:
                pass
            if libc.ptrace(0x4206, pid, 0, 0) == 0:  # PTRACE_SEIZE
                opened.append("tracing")
    finally:
        os.kill(runner, signal.SIGCONT)
    return opened


def neighbour(folder: str) -> list[Any]:
    """An honest call that answers when the runner does not look."""
    import time
    from pathlib import Path

    (Path(folder) / "begun").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return ["honest", 1]


def test_a_call_cannot_write_into_the_answer_of_its_neighbour(cloud: Stack, tmp_path: Path) -> None:
    # The attacker's process begins later, and so as a copy of the runner with the other's files.
    calls = [make_call(neighbour, str(tmp_path)), make_call(forge, str(tmp_path)), make_call(abs, -3)]
    honest, forging, last = run_bundle(cloud, *calls, processes=2)
    assert pickle.loads(forging.value) == []
    assert pickle.loads(honest.value) == ["honest", 1]
    assert pickle.loads(last.value) == 3


def stretch_the_answer(size: int) -> None:
    """Have one's answer look as if it were larger than all memory."""
    import os

    for number in map(int, os.listdir("/proc/self/fd")):
        path = f"/proc/self/fd/{number}"
        if os.path.islink(path) and os.readlink(path).startswith("/memfd:answer"):
            os.ftruncate(number, size)


@pytest.mark.parametrize("calls_after", [0, 2], ids=["and ends", "and goes on"])
def test_an_answer_that_was_stretched_crashes_its_own_call_only(cloud: Stack, calls_after: int) -> None:
    calls = [make_call(stretch_the_answer, 2**40), *[make_call(abs, -3)] * calls_after]
    strange, *honest = run_bundle(cloud, *calls, processes=1)
    assert strange.status is Status.CRASHED
    assert [pickle.loads(outcome.value) for outcome in honest] == [3] * calls_after


def test_a_call_that_patches_the_runner_answers_for_no_other(cloud: Stack) -> None:
    calls = [make_call(answer_for_all), make_call(keep_secret, "password"), make_call(keep_secret, "another")]
    _, *honest = run_bundle(cloud, *calls, processes=1)
    assert [pickle.loads(outcome.value) for outcome in honest] == [("job", "password"), ("job", "another")]


def sabotage() -> None:
    """Leave things such that the next call fails, or believes what is not so."""
    import os
    import random
    import signal
    import socket
    import sys
    import warnings

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    os.environ["PATH"] = "/attacker"
    os.umask(0)
    random.seed(0)
    socket.setdefaulttimeout(1e-6)
    sys.path.insert(0, "/attacker")
    warnings.simplefilter("error")


def look_around() -> dict[str, Any]:
    """What an honest call finds."""
    import os
    import random
    import signal
    import socket
    import subprocess
    import sys
    import warnings

    mask = os.umask(0o077)
    os.umask(mask)
    warnings.warn("only a warning", UserWarning, stacklevel=1)
    return {
        "program that fails": subprocess.run(["false"], check=False).returncode,
        "SIGALRM is blocked": signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "files are for all": mask == 0,
        "numbers are known": random.random() == random.Random(0).random(),
        "timeout": socket.getdefaulttimeout(),
        "attacker's modules": "/attacker" in sys.path,
    }


def test_a_call_leaves_no_trap_for_the_next(cloud: Stack) -> None:
    _, honest = run_bundle(cloud, make_call(sabotage), make_call(look_around), processes=1)
    assert honest.status is Status.SUCCESS, honest.failure
    assert pickle.loads(honest.value) == {
        "program that fails": 1,
        "SIGALRM is blocked": False,
        "files are for all": False,
        "numbers are known": False,
        "timeout": None,
        "attacker's modules": False,
    }


@pytest.fixture(scope="module")
def guarded() -> Iterator[Stack]:
    """A system of its own on an AWS that enforces permissions, without a worker."""
    with Stack(Options(local=("--enforce-iam", "--stop-grace", "1"), slots=4)) as stack:
        stack.start_aws()
        stack.provision()
        stack.start_storage()
        stack.start_scheduler()
        yield stack


@pytest.fixture
def under_guard(guarded: Stack, connect: Callable[[Stack], Client]) -> Iterator[System]:
    started = System(guarded, guarded, connect)
    yield started
    started.stop()


def burgle(bucket: str, run: str, libraries: str) -> list[str]:
    """Do to the bucket whatever the role of this job allows; return what worked."""
    import os
    import sys

    sys.path.append(libraries)
    import boto3

    s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    prefix, _, run_id = run.rpartition("/")
    leases = [f"{prefix}/leases/{name}/{run_id}" for name in ("victim", "outcomes", "packs", "x/outcomes")]
    inputs = [f"{run}/packs/1", f"{run}/objects/x.1", f"{run}/letters/1/0", f"{prefix}/other-run/packs/1", "elsewhere"]
    asked = {
        **{f"write {key}": lambda key=key: s3.put_object(Bucket=bucket, Key=key, Body=b"") for key in leases + inputs},
        **{f"read {key}": lambda key=key: s3.get_object(Bucket=bucket, Key=key) for key in leases},
        **{
            f"list {each!r}": lambda each=each: s3.list_objects_v2(Bucket=bucket, Prefix=each)
            for each in ("", f"{prefix}/", f"{prefix}/leases/", f"{run}/packs/")
        },
        "remove": lambda: s3.delete_object(Bucket=bucket, Key=f"{run}/outcomes/1/0"),
        "change the bucket": lambda: s3.delete_bucket_lifecycle(Bucket=bucket),
    }
    worked = []
    for name, ask in asked.items():
        try:
            ask()
        except Exception as error:
            if "AccessDenied" in str(error):
                continue
        worked.append(name)
    return worked


def test_a_task_reaches_nothing_in_the_bucket_but_inputs_and_outcomes(under_guard: System, gate: Gate) -> None:
    worker = under_guard.start_worker("victim")
    client = under_guard.client()
    first = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    run = under_guard.run_prefix()
    libraries = str(Path(boto3.__file__).parents[1])  # the image has no boto3, but a task brings what it likes
    assert client.submit(burgle, under_guard.bucket, run, libraries).result(SECONDS) == []
    gate.open()
    assert first.result(SECONDS) == 7
    large = os.urandom(3_000_000)
    assert client.submit(len, large).result(SECONDS) == len(large)
    assert lives(worker)


def test_the_role_of_jobs_calls_folders_as_those_do_who_write_there() -> None:
    assert {keys.PACKS, keys.OBJECTS} <= set(policies.INPUTS)
    assert (policies.OUTCOMES, policies.LEASES) == (keys.OUTCOMES, member.LEASES)


def count_and_wait(folder: str, name: str) -> str:
    """Leave a mark for each time that this is run; return when told to."""
    import time
    from pathlib import Path

    with (Path(folder) / f"ran-{name}").open("a") as file:
        file.write("x")
    while not (Path(folder) / f"go-{name}").exists():
        time.sleep(0.01)
    return name


def test_a_second_attempt_finds_what_the_first_has_answered(under_guard: System, gate: Gate, tmp_path: Path) -> None:
    """The role lets it: one may not see to it by letting jobs do more."""

    def ran(name: str) -> str:
        path = tmp_path / f"ran-{name}"
        return path.read_text() if path.exists() else ""

    options = ("--max-concurrent-jobs", "1", "--tasks-per-job", "3", "--processes", "1", "--log-level", "DEBUG")
    worker = under_guard.start_worker("attempts", *options)
    client = under_guard.client()
    first = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    quick, slow = (client.submit(count_and_wait, str(tmp_path), name) for name in ("quick", "slow"))
    wait_for(lambda: worker.log.read_text().count("is taken on") == 3)
    (tmp_path / "go-quick").touch()
    gate.open()
    assert first.result(SECONDS) == 7
    assert quick.result(SECONDS) == "quick"
    wait_for(lambda: ran("slow") == "x")
    under_guard.inject(Reclaim(notice=0.5))
    wait_for(lambda: ran("slow") == "xx")
    (tmp_path / "go-slow").touch()
    assert slow.result(SECONDS) == "slow"
    assert ran("quick") == "x"


QUEUE = "the-queue"
"""Stands for the name of the queue in a lease that is made before there is one."""


def forged(**changes: Any) -> bytes:
    """A lease that says that its run is dead: nobody here has so high a number."""
    place = {**asdict(Place.here()), "pid": 2**31, "since": 1}
    return json.dumps({"place": place, "queues": [QUEUE], **changes}).encode()


def test_a_lease_among_those_of_another_worker_ends_no_job(system: System, gate: Gate) -> None:
    victim = system.start_worker("victim")
    future = system.client().submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    prefix, _, run_id = system.run_prefix().rpartition("/")
    queue = system.stack.provisioned["SCALER_JOB_QUEUE"]
    key = f"{prefix}/leases/accomplice/{run_id}"
    s3 = system.stack.aws("s3")
    s3.put_object(Bucket=system.bucket, Key=key, Body=forged(queues=[queue.rpartition("/")[2]]))
    accomplice = system.start_worker("accomplice")
    until_says(accomplice, "passed over")
    gate.open()
    assert future.result(SECONDS) == 7
    assert lives(victim)
    s3.delete_object(Bucket=system.bucket, Key=key)


LEASES = {
    # JSON has no word for infinity, but Python reads this as it.
    "pid is infinite": forged(place={**asdict(Place.here()), "pid": float("inf")}).replace(b"Infinity", b"1e400"),
    "in the future": forged(renewed=1e15),
    "of the past": forged(renewed=0),
    "several megabytes": forged() + b" " * 5_000_000,
    "an object more": forged(more={}),
}


@pytest.mark.parametrize("lease", LEASES.values(), ids=LEASES.keys())
def test_what_is_not_a_lease_ends_neither_job_nor_worker(system: System, gate: Gate, lease: bytes) -> None:
    # As if it were of an earlier run of the same worker, whose jobs this one is to end.
    victim = system.start_worker("victim")
    future = system.client().submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    prefix, _, run_id = system.run_prefix().rpartition("/")
    key = f"{prefix}/leases/victim/{run_id}"
    s3, queue = system.stack.aws("s3"), system.stack.provisioned["SCALER_JOB_QUEUE"].rpartition("/")[2]
    s3.put_object(Bucket=system.bucket, Key=key, Body=lease.replace(QUEUE.encode(), queue.encode()))
    namesake = system.start_worker("victim")
    until_says(namesake, "passed over")
    gate.open()
    assert future.result(SECONDS) == 7
    assert lives(victim)
    assert lives(namesake)
    s3.delete_object(Bucket=system.bucket, Key=key)
