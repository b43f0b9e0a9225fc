"""What somebody tries who can write to the bucket, or read jobs: to be run, and to answer in the place of others.

Against a whole system where what counts is who arrives first; against a runner with S3, or a task manager with a store
in memory, where the attacker has to come between two steps.
"""

from __future__ import annotations

import asyncio
import math
import operator
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import hostile
from scaler_batch.payload import (
    Call,
    JobSeal,
    Origin,
    Outcome,
    Reference,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    SubmissionSeal,
    decode_outcomes,
    encode_object,
    encode_outcomes,
    encode_pack,
    place,
)
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import KEY_PARAMETER, PAYLOAD_KEY_VARIABLE, ExitCode
from scaler_batch.payload.errors import PayloadError
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import interruption_key, object_key, outcome_key, pack_key, parse_outcome_key
from scaler_batch.payload.outcomes import Usage
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import AWSHPCTaskManager, Polling, TaskManagerSettings
from scaler_batch.tasks.testing import FakeJob, FakeJobService, MemoryInputs, RecordingSink
from stack import Stack
from systems import SECONDS, Gate, System, hold, lives
from watching import wait_for

ORIGIN = Origin("job", 1, "host", "3.12.1", {})


class Harmful:
    """Whoever loads a pickle of it has run somebody else's code: a file appears."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def forged(value: bytes, positions: Sequence[int] = (0,)) -> bytes:
    """An envelope as a runner makes it."""
    outcomes = [Outcome(position, Status.SUCCESS, value, Usage(0.1)) for position in positions]
    return b"".join(encode_outcomes(outcomes, ORIGIN))


# Against a whole system.


def test_an_outcome_that_lies_there_before_its_task_is_submitted_answers_nobody(
    system: System, gate: Gate, tmp_path: Path
) -> None:
    """Sequences count from 1, and the run is known by the names of its jobs."""
    worker = system.start_worker("planted")
    client = system.client()
    first = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    trace = tmp_path / "ran-in-the-client"
    envelope = forged(pickle.dumps(Harmful(trace)))
    for sequence in range(1, 6):
        for key in (f"outcomes/{sequence}/0", outcome_key(sequence, None, 0, "0" * 32)):
            system.put(key, envelope)
            system.put(f"{key}0", envelope + bytes(32))
    gate.open()
    assert first.result(SECONDS) == 7
    assert [client.submit(pow, 2, number).result(SECONDS) for number in range(4)] == [1, 2, 4, 8]
    assert not trace.exists()
    assert lives(worker)


def test_what_a_task_puts_in_the_place_of_another_is_not_believed(system: System, gate: Gate, tmp_path: Path) -> None:
    """It has a key, of its own job: of another submission."""
    worker = system.start_worker("neighbours", "--max-concurrent-jobs", "2")
    client = system.client()
    evil = client.submit(hold, str(gate.folder), 1)
    wait_for(lambda: gate.started == 1)
    mine = system.seal()
    trace = tmp_path / "ran-in-the-client"
    envelope = forged(pickle.dumps(Harmful(trace)))
    name = parse_outcome_key(mine.outcome_key()).name
    for sequence in (2, 3, 4):
        key = outcome_key(sequence, None, 0, name)
        system.put(key, b"".join(mine.sign(key, [envelope])))
    assert [client.submit(abs, -number).result(SECONDS) for number in (3, 4)] == [3, 4]
    gate.open()
    assert evil.result(SECONDS) == 1
    assert not trace.exists()
    assert lives(worker)


# Against a runner.


@dataclass
class Container:
    """Where a runner runs, and what an attacker can write to."""

    cloud: Stack
    run: RunLocation
    key: Seal

    @property
    def submission(self) -> SubmissionSeal:
        return RunSeal(self.run, self.key).submission(1)

    def put(self, key: str, data: bytes) -> None:
        """Write to the bucket, as anybody."""
        self.cloud.aws("s3").put_object(Bucket=self.run.bucket, Key=f"{self.run.root}/{key}", Body=data)

    def get(self, key: str) -> bytes:
        """Read what lies there."""
        return bytes(
            self.cloud.aws("s3").get_object(Bucket=self.run.bucket, Key=f"{self.run.root}/{key}")["Body"].read()
        )

    def start(self, parameter: str, *, key: str | None = None, **environment: str) -> int:
        """Run a runner to its end."""
        words = ["--run", str(self.run), "--sequence", "1", "--pack", parameter]
        words += ["--key", self.submission.key.reveal() if key is None else key]
        done = subprocess.run(
            [sys.executable, "-m", "scaler_batch.runner", *words],
            env=self.cloud.environment | environment, capture_output=True, timeout=60,
        )  # fmt: skip
        return done.returncode

    def values(self, key: str, child: int | None = None) -> list[Any]:
        """What a task manager reads there, as the client sees it."""
        outcomes, _ = decode_outcomes(self.submission.job(child).open(key, self.get(key)))
        return [pickle.loads(outcome.value) for outcome in outcomes]


@pytest.fixture
def container(cloud: Stack) -> Container:
    bucket, region = cloud.provisioned["SCALER_S3_BUCKET"], cloud.environment["AWS_DEFAULT_REGION"]
    return Container(cloud, RunLocation(bucket, "scaler-tasks", uuid4().hex, region), Seal.new())


HONEST = [make_call(math.sqrt, 16)]


def harmful_call(trace: Path, *arguments: bytes) -> Call:
    """A call that leaves a trace when it is run, or only read."""
    return make_call(Harmful(trace))._replace(arguments=arguments)


def test_a_pack_that_was_overwritten_is_not_run(container: Container, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    honest = encode_pack([HONEST])
    parameter = place(honest, inline_limit=0).parameter
    container.put(pack_key(1), b"".join(encode_pack([[harmful_call(trace)]]).pieces))
    assert container.start(parameter) == ExitCode.ALTERED_INPUT
    assert not trace.exists()
    container.put(pack_key(1), b"".join(honest.pieces))
    assert container.start(parameter) == ExitCode.PUBLISHED
    assert container.values(container.submission.job(None).outcome_key()) == [4.0]


def test_no_part_of_a_pack_in_parts_is_run_that_was_overwritten(container: Container, tmp_path: Path) -> None:
    """Its table is another, or all but that, or the hashes, or a shared value, or a bundle."""
    trace = tmp_path / "ran"
    filling, shared = pickle.dumps(os.urandom(600_000)), pickle.dumps(os.urandom(5000))
    arguments = [(filling, shared), (pickle.dumps(os.urandom(600_000)), shared)]
    honest = encode_pack([[make_call(operator.ne)._replace(arguments=each)] for each in arguments])
    other = encode_pack([[harmful_call(trace, *each)] for each in arguments])
    data, forgery = b"".join(honest.pieces), b"".join(other.pieces)
    assert honest.table
    parameter, child = place(honest).parameter, {"AWS_BATCH_JOB_ARRAY_INDEX": "0"}
    head = honest.table
    overwritten = [
        forgery,
        data[:head] + forgery[other.table :],
        _changed(data, head),
        _changed(data, data.index(shared) + 7),
        _changed(data, data.index(filling) + 7),
    ]
    for changed in overwritten:
        container.put(pack_key(1), changed)
        assert container.start(parameter, **child) == ExitCode.ALTERED_INPUT
        assert not trace.exists()
    container.put(pack_key(1), data)
    assert container.start(parameter, **child) == ExitCode.PUBLISHED
    assert container.values(container.submission.job(0).outcome_key(), 0) == [True]


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_bundle_is_not_run_in_the_place_of_another(container: Container) -> None:
    """Two parts of the same size have changed places, each with its own hash beside it."""
    honest = encode_pack([[make_call(len, b"")._replace(arguments=(pickle.dumps(os.urandom(600_000)),))] for _ in "ab"])
    data, hashes = b"".join(honest.pieces), honest.table
    count = (data.index(b"SBPL", hashes) - hashes) // 32
    first, last = hashes + 32 * (count - 2), hashes + 32 * (count - 1)
    swapped = data[:first] + data[last : last + 32] + data[first : first + 32] + data[last + 32 :]
    end = data.rindex(b"SBPL")
    start = 2 * end - len(data)
    assert data[start : start + 4] == b"SBPL", "both are of one size"
    swapped = swapped[:start] + data[end:] + data[start:end]
    container.put(pack_key(1), swapped)
    assert container.start(place(honest).parameter, AWS_BATCH_JOB_ARRAY_INDEX="0") == ExitCode.ALTERED_INPUT
    container.put(pack_key(1), data)
    assert container.start(place(honest).parameter, AWS_BATCH_JOB_ARRAY_INDEX="0") == ExitCode.PUBLISHED
    assert container.values(container.submission.job(0).outcome_key(), 0) == [600_000]


def test_an_object_of_the_same_size_is_not_read_in_the_place_of_another(container: Container, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    honest = pickle.dumps(bytes(2_000_000))
    reference = Reference(object_key(digest(honest), 1), len(honest))
    call = make_call(len, b"")._replace(arguments=(reference,))
    parameter = place(encode_pack([[call]])).parameter
    container.put(reference.key, b"".join(encode_object(pickle.dumps(Harmful(trace)).ljust(len(honest), b"."))))
    assert container.start(parameter) == ExitCode.ALTERED_INPUT
    assert not trace.exists()
    container.put(reference.key, b"".join(encode_object(honest)))
    assert container.start(parameter) == ExitCode.PUBLISHED
    assert container.values(container.submission.job(None).outcome_key()) == [2_000_000]


def test_junk_in_the_place_of_an_outcome_keeps_no_job_from_answering(container: Container) -> None:
    """A task of an earlier attempt was in that container, and knows the place."""
    seal = container.submission.job(None)
    parameter = place(encode_pack([HONEST])).parameter
    container.put(seal.outcome_key(), b"junk")
    assert container.start(parameter) == ExitCode.PUBLISHED
    assert container.values(seal.outcome_key(0, 1)) == [4.0]


def test_an_answer_that_nobody_signed_is_not_taken_for_that_of_another_attempt(container: Container) -> None:
    seal = container.submission.job(None)
    parameter = place(encode_pack([HONEST])).parameter
    container.put(seal.outcome_key(), forged(pickle.dumps("forged")))
    assert container.start(parameter, AWS_BATCH_JOB_ATTEMPT="1") == ExitCode.PUBLISHED
    assert container.values(seal.outcome_key(0, 1)) == [4.0]


def test_a_second_attempt_runs_what_only_an_unsigned_object_answers(container: Container) -> None:
    seal = container.submission.job(None)
    parameter = place(encode_pack([HONEST])).parameter
    container.put(seal.outcome_key(), forged(pickle.dumps("forged")))
    assert container.start(parameter, AWS_BATCH_JOB_ATTEMPT="2") == ExitCode.PUBLISHED
    assert container.values(seal.outcome_key(0, 1)) == [4.0]


def test_a_task_does_not_find_the_payload_key_in_the_environment(container: Container) -> None:
    digits, name = os.urandom(32).hex(), PAYLOAD_KEY_VARIABLE

    def search() -> list[str]:
        found = [value for value in os.environ.values() if value == digits] + [os.environ.get(name, "")]
        for process in (os.getpid(), os.getppid()):
            try:
                with open(f"/proc/{process}/environ", "rb") as file:
                    found += [str(process)] if digits.encode() in file.read() else []
            except PermissionError:
                pass
        return [each for each in found if each]

    container.key = Seal.from_hex(digits)
    parameter = place(encode_pack([[make_call(search)]])).parameter
    shared = f"container:{container.key.fingerprint}"
    assert container.start(parameter, key=shared, **{name: digits}) == ExitCode.PUBLISHED
    assert container.values(container.submission.job(None).outcome_key()) == [[]]


# Against a task manager.


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is the case."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it is not the case after 10 s")


class Manager:
    """A task manager, its store, and jobs that the test ends."""

    def __init__(self, payload_key: Seal | None = None) -> None:
        self.store = CountingStore()
        self.inputs, self.sink = MemoryInputs(), RecordingSink()
        self.jobs = FakeJobService(self.store, payload_key=payload_key)
        self.run = RunLocation("bucket", "runs", "run-1", "eu-west-1")
        polling = Polling(longest=0.2, longest_scaled=0.05, batch_check_shortest=0.2)
        settings = TaskManagerSettings("queue", "definition", polling=polling, payload_key=payload_key)
        self.manager = AWSHPCTaskManager(
            settings, self.run, jobs=self.jobs, store=self.store, inputs=self.inputs, sink=self.sink
        )

    async def submit(self) -> FakeJob:
        """Have a task run in a job, and return that."""
        name = f"t{len(self.jobs.submissions)}".encode()
        self.manager.submit(self.inputs.request(name, Call(b"serializer", b"function", (name,))))
        await self.jobs.has_taken(len(self.jobs.submissions) + 1)
        await until(lambda: self.manager.snapshot().jobs >= 1)
        return self.jobs.jobs[-1]

    async def answer(self, job: FakeJob, at: int = 0) -> bytes:
        """Let a job answer at one of its places, as the runner does, and return what its task is answered with."""
        key = job.seal.outcome_key(0, at)
        self.store.objects[key] = b"".join(job.seal.sign(key, [forged(b"honest")]))
        await asyncio.wait_for(self.sink.answers(1), 10)
        return bytes(self.sink.announced[0][1].value)

    async def refuses(self, count: int = 1) -> None:
        """Wait until so many objects were refused."""
        await until(lambda: sum(self.manager.snapshot().refused.values()) >= count)


class CountingStore(MemoryStore):
    """Counts what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    async def get(self, key: str) -> Any:
        """Return the whole object."""
        self.fetched.append(key)
        return await super().get(key)


@asynccontextmanager
async def managing(payload_key: Seal | None = None) -> Any:
    made = Manager(payload_key)
    async with made.manager:
        yield made


def _stranger(job: JobSeal, run: RunLocation) -> JobSeal:
    return RunSeal(run, Seal.new()).submission(1).job(None)


FORGERIES: dict[str, Callable[[Manager, FakeJob, str, bytes], bytes]] = {
    "not signed": lambda manager, job, key, envelope: envelope,
    "signed with nothing": lambda manager, job, key, envelope: envelope + bytes(32),
    "signed by another run": lambda manager, job, key, envelope: b"".join(
        _stranger(job.seal, manager.run).sign(key, [envelope])
    ),
    "signed with a key that everybody can guess": lambda manager, job, key, envelope: b"".join(
        RunSeal(manager.run, Seal(bytes(32))).submission(job.sequence).job(None).sign(key, [envelope])
    ),
    "signed for another place": lambda manager, job, key, envelope: b"".join(
        job.seal.sign(job.seal.interruption_key(1), [envelope])
    ),
    "changed after it was signed": lambda manager, job, key, envelope: _changed(
        b"".join(job.seal.sign(key, [envelope])), len(envelope) - 1
    ),
    "larger than what is opened at once": lambda manager, job, key, envelope: forged(os.urandom(200_000)),
    "a bomb": lambda manager, job, key, envelope: hostile.sealed(bytes(20_000_000)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_what_a_job_has_not_signed_answers_for_none_of_its_tasks(forgery: str) -> None:
    """An attacker who lists the bucket overwrites what a job has put there."""
    async with managing() as attacked:
        job = await attacked.submit()
        key = job.seal.outcome_key()
        attacked.store.objects[key] = FORGERIES[forgery](attacked, job, key, forged(b"forged"))
        await attacked.refuses()
        assert not attacked.sink.announced
        assert attacked.manager.snapshot().refused == {"unsigned": 1}
        assert await attacked.answer(job, at=1) == b"honest"


async def test_an_outcome_of_one_job_is_none_of_another() -> None:
    """Replayed, in the same run, at the place of the other."""
    async with managing() as attacked:
        first = await attacked.submit()
        assert await attacked.answer(first) == b"honest"
        replayed = attacked.store.objects[first.seal.outcome_key()]
        second = await attacked.submit()
        attacked.store.objects[second.seal.outcome_key()] = replayed
        await attacked.refuses()
        assert len(attacked.sink.announced) == 1
        attacked.jobs.die(second.job_id)
        await asyncio.wait_for(attacked.sink.answers(2), 10)


async def test_names_that_a_job_has_not_given_cost_nothing_but_their_listing() -> None:
    async with managing() as attacked:
        job = await attacked.submit()
        names = [f"{number:032x}" for number in range(300)]
        planted = [outcome_key(1, None, 0, name) for name in names]
        planted += [interruption_key(1, None, attempt, names[attempt]) for attempt in range(100)]
        attacked.store.objects |= dict.fromkeys(planted, forged(b"forged"))
        before = attacked.jobs.calls["describe"]
        await asyncio.sleep(1)
        assert attacked.store.fetched == []
        assert attacked.jobs.calls["describe"] - before <= 6, "no interruption is believed"
        assert await attacked.answer(job) == b"honest"
        assert attacked.store.fetched == [job.seal.outcome_key()]


async def test_who_reads_jobs_cannot_answer_for_them_where_there_is_a_payload_key() -> None:
    key = Seal.new()
    async with managing(key) as attacked:
        job = await attacked.submit()
        told = attacked.jobs.submissions[job.job_id].spec.parameters[KEY_PARAMETER]
        candidates = [told, told.partition(":")[2], told[:43], told[-43:]]
        for text in candidates:
            with pytest.raises(PayloadError):
                Seal.parse(text)
        guessed = Seal(bytes.fromhex(key.fingerprint).ljust(32, b"\0"))
        place_ = job.seal.outcome_key()
        forgery = RunSeal(attacked.run, guessed).submission(1).job(None).sign(place_, [forged(b"forged")])
        attacked.store.objects[place_] = b"".join(forgery)
        await attacked.refuses()
        assert await attacked.answer(job, at=1) == b"honest"


async def test_what_a_task_signs_for_itself_is_still_read_as_if_it_was_to_hurt() -> None:
    """It can find the key of its own job. Its own task fails, and nothing else."""
    async with managing() as attacked:
        evil = await attacked.submit()
        key = evil.seal.outcome_key()
        bomb = hostile.sealed(hostile.indexed(b'{"outcomes":[' + b"{}," * 4_000_000 + b'0],"sizes":[]}'))
        attacked.store.objects[key] = b"".join(evil.seal.sign(key, [bomb]))
        await asyncio.wait_for(attacked.sink.answers(1), 20)
        assert "cannot be read" in str(attacked.sink.announced[0][1])
        other = await attacked.submit()
        place_ = other.seal.outcome_key()
        attacked.store.objects[place_] = b"".join(other.seal.sign(place_, [forged(b"honest")]))
        await asyncio.wait_for(attacked.sink.answers(2), 10)
        assert bytes(attacked.sink.announced[1][1].value) == b"honest"
