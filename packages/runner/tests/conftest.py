"""Jobs as real processes, against a real S3 over HTTP."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import cloudpickle
import pytest
from moto.server import ThreadedMotoServer

from scaler_batch.payload import (
    Call,
    Client,
    JobSeal,
    Origin,
    Outcome,
    Reference,
    RunLocation,
    RunSeal,
    Seal,
    decode_outcomes,
    encode_object,
    encode_outcomes,
    encode_pack,
    place,
)
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import OUTCOMES, object_key, outcome_folder, pack_key, parse_outcome_key
from scaler_batch.payload.placement import MAX_INLINE_LIMIT
from scaler_batch.payload.s3 import BlockingS3RunStore

REGION = "us-east-1"
ABSENT = ("scaler", "boto3", "botocore", "zmq")
"""Packages that a container need not have; where the developer has them, they must not help."""


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        import boto3

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=address, region_name=REGION).create_bucket(Bucket="tests")
        yield address
        server.stop()


@pytest.fixture(scope="session")
def container(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a container: credentials, and nothing that only developers have."""
    folder = tmp_path_factory.mktemp("absent")
    for name in ABSENT:
        (folder / f"{name}.py").write_text(f"raise ImportError('there is no {name} in the container')\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(folder), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Job(subprocess.Popen[str]):
    """A runner's process."""

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, stdout and stderr."""
        out, err = self.communicate(timeout=60)
        return self.returncode, out, err


@dataclass
class Run:
    """One run of a task manager: its place in the store, and the jobs it starts."""

    endpoint: str
    container: dict[str, str]
    location: RunLocation = field(default_factory=lambda: RunLocation("tests", "prefix", uuid4().hex, REGION))
    sequences: Iterator[int] = field(default_factory=itertools.count)
    jobs: list[Job] = field(default_factory=list)
    key: Seal = field(default_factory=Seal.new)

    @property
    def environment(self) -> dict[str, str]:
        return self.container | {"AWS_ENDPOINT_URL": self.endpoint}

    @property
    def store(self) -> BlockingS3RunStore:
        return BlockingS3RunStore(self.location, environment=self.environment)

    @property
    def s3(self) -> Any:
        """S3 as somebody else has it, who may overwrite what lies there."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="other",
            aws_secret_access_key="other",
        )

    def start(self, *arguments: str, within: Sequence[str] = (), **environment: str) -> Job:
        """Start a runner with this command line, perhaps by way of another program."""
        job = Job(
            [*within, sys.executable, "-m", "scaler_batch.runner", *arguments],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.jobs.append(job)
        return job

    def command(self, sequence: int, parameter: str) -> list[str]:
        key = RunSeal(self.location, self.key).submission(sequence).key.reveal()
        return ["--run", str(self.location), "--sequence", str(sequence), "--pack", parameter, "--key", key]

    def seal(self, sequence: int, index: int | None = None) -> JobSeal:
        """What a job signs with."""
        return RunSeal(self.location, self.key).submission(sequence).job(index)

    def publish(self, sequence: int, outcomes: Sequence[Outcome], *, attempt: int = 1, index: int | None = None) -> str:
        """Put outcomes into the store as an attempt of a job does, and return where."""
        seal = self.seal(sequence, index)
        key = seal.outcome_key(min(outcome.position for outcome in outcomes))
        self.store.put_once(key, seal.sign(key, encode_outcomes(outcomes, self.origin(attempt))))
        return key

    def read(self, key: str) -> tuple[list[Outcome], Origin]:
        """Read outcomes as the task manager does."""
        found = parse_outcome_key(key)
        return decode_outcomes(self.seal(found.sequence, found.child).open(key, self.store.get(key)))

    def inline(self, *calls: Call, client: Client | None = None, processes: int = 0) -> tuple[int, list[str]]:
        """The command line of a job whose bundle travels inline, and its sequence."""
        sequence = next(self.sequences)
        placement = place(encode_pack([calls], client=client, processes=processes), inline_limit=MAX_INLINE_LIMIT)
        assert not placement.stored
        return sequence, self.command(sequence, placement.parameter)

    def stored(self, *bundles: list[Call]) -> tuple[int, list[str]]:
        """The command line of a job, or of all children of an array, whose pack lies in the store."""
        sequence = next(self.sequences)
        pack = encode_pack(bundles)
        self.store.put_once(pack_key(sequence), pack.pieces)
        return sequence, self.command(sequence, place(pack, inline_limit=0).parameter)

    def object(self, data: bytes) -> Reference:
        """Store a large object, as the task manager does."""
        reference = Reference(object_key(digest(data), next(self.sequences)), len(data))
        self.store.put_once(reference.key, encode_object(data))
        return reference

    def paths(self, *keys: str) -> list[str]:
        """Keys without the part that only the job can tell."""
        return sorted(key.rpartition(".")[0] for key in keys)

    def origin(self, attempt: int) -> Origin:
        return Origin("job", attempt, "host", "3.12.0", {})

    def published(self, sequence: int, index: int | None = None) -> tuple[list[Outcome], Origin]:
        """What a job published, as one object."""
        return self.read(self.seal(sequence, index).outcome_key())

    def answers(self, sequence: int, index: int | None = None) -> dict[int, tuple[Outcome, Origin]]:
        """What a job published, in however many objects, by position; each position once."""
        found: dict[int, tuple[Outcome, Origin]] = {}
        for key in self.store.list(outcome_folder(sequence, index)):
            if parse_outcome_key(key).first is not None:
                outcomes, origin = self.read(key)
                assert not found.keys() & {outcome.position for outcome in outcomes}
                found |= {outcome.position: (outcome, origin) for outcome in outcomes}
        return found

    def published_keys(self) -> list[str]:
        """Which outcomes lie in the store."""
        return self.store.list(OUTCOMES)

    def call(self, function: Callable[..., Any], *arguments: Any) -> tuple[Outcome, str, str]:
        """Run a call to its end; return its outcome, stdout and stderr."""
        sequence, command = self.inline(make_call(function, *arguments))
        code, out, err = self.start(*command).finish()
        assert code == 0, err
        [outcome], _ = self.published(sequence)
        assert outcome.position == 0
        return outcome, out, err


@pytest.fixture
def run(endpoint: str, container: dict[str, str]) -> Iterator[Run]:
    made = Run(endpoint, container)
    yield made
    for job in made.jobs:
        job.kill()
        job.communicate()


FRESH = """
import sys, cloudpickle
with open(sys.argv[1], "rb") as file:
    function = cloudpickle.load(file)
with open(sys.argv[2], "wb") as file:
    cloudpickle.dump(function(), file)
"""


@pytest.fixture
def fresh(tmp_path: Path, container: dict[str, str]) -> Callable[[Callable[[], Any]], Any]:
    """Run a function in an interpreter of its own, one that has no threads, and return its result."""

    def call(function: Callable[[], Any]) -> Any:
        into, back = tmp_path / "function", tmp_path / "result"
        into.write_bytes(cloudpickle.dumps(function))
        subprocess.run([sys.executable, "-c", FRESH, str(into), str(back)], env=container, check=True, timeout=60)
        return cloudpickle.loads(back.read_bytes())

    return call
