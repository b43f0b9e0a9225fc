"""Between a client's process and the container's: serializers, and exceptions of the client's own classes."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from scaler_batch.payload import Call, Status
from scaler_batch.payload.calls import make_call

if TYPE_CHECKING:
    from conftest import Run

DEFAULT_SERIALIZER = bytes.fromhex(
    "8005953d000000000000008c207363616c65722e636c69656e742e73657269616c697a65722e64656661756c74"
    "948c1144656661756c7453657269616c697a65729493942981942e"
)
"""What a client of opengris-scaler 2.9.0 sends."""

CLIENT = """
import json, pickle, sys, traceback
import cloudpickle

class MyError(Exception):
    pass

class Awkward(MyError):
    def __init__(self, code, reason):
        super().__init__(f"{reason} ({code})")
        self.code = code

def plain():
    raise MyError("mine", 5)

def awkward():
    try:
        plain()
    except MyError as error:
        raise Awkward(404, "absent") from error

print(cloudpickle.dumps(globals()[sys.argv[1]]).hex(), flush=True)

# A client reads with plain pickle, whatever its serializer.
error = pickle.loads(bytes.fromhex(sys.stdin.readline()))
print(json.dumps({
    "own": type(error) is globals()[sys.argv[2]],
    "text": str(error),
    "code": getattr(error, "code", None),
    "cause": type(error.__cause__).__name__,
    "own_cause": type(error.__cause__) is MyError,
    "frames": [frame.name for frame in traceback.extract_tb(error.__traceback__)],
}))
"""


class Client(subprocess.Popen[str]):
    """A client's process: ``__main__`` is its own module, and what it defines there travels by value."""

    def __init__(self, function: str, error: str) -> None:
        command = [sys.executable, "-c", CLIENT, function, error]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def function(self) -> bytes:
        assert self.stdout is not None
        return bytes.fromhex(self.stdout.readline())

    def report(self, value: bytes) -> dict[str, object]:
        report: dict[str, object] = json.loads(self.communicate(value.hex() + "\n", timeout=60)[0])
        return report


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(*request.param) as process:
        yield process
        process.kill()


def raised(run: Run, function: bytes) -> bytes:
    sequence, command = run.inline(Call(DEFAULT_SERIALIZER, function, ()))
    code, _, err = run.start(*command).finish()
    assert code == 0, err
    [outcome], _ = run.published(sequence)
    assert outcome.status is Status.RAISED
    return bytes(outcome.value)


@pytest.mark.parametrize("client", [("plain", "MyError")], indirect=True)
def test_an_exception_of_the_clients_main_arrives_as_the_clients_own_class(run: Run, client: Client) -> None:
    report = client.report(raised(run, client.function()))
    assert report["own"]
    assert report["text"] == "('mine', 5)"
    assert report["frames"] == ["plain"]


@pytest.mark.parametrize("client", [("awkward", "Awkward")], indirect=True)
def test_a_custom_constructor_and_a_cause_of_the_clients_main_arrive(run: Run, client: Client) -> None:
    report = client.report(raised(run, client.function()))
    assert report["own"]
    assert report["own_cause"]
    assert (report["text"], report["code"], report["cause"]) == ("absent (404)", 404, "MyError")
    assert report["frames"] == ["awkward"]


def test_the_default_serializer_works_without_the_package_it_comes_from(run: Run) -> None:
    call = make_call(math.sqrt, 16)
    sequence, command = run.inline(Call(DEFAULT_SERIALIZER, call.function, call.arguments))
    assert run.start(*command).finish()[0] == 0
    assert pickle.loads(run.published(sequence)[0][0].value) == 4.0


OWN_SERIALIZER = """
import sys, types, cloudpickle
for name in ("scaler", "scaler.client", "scaler.client.serializer", "scaler.client.serializer.mixins"):
    sys.modules[name] = types.ModuleType(name)
mixins = sys.modules["scaler.client.serializer.mixins"]
mixins.Serializer = type("Serializer", (), {"__module__": mixins.__name__})

class Own(mixins.Serializer):
    @staticmethod
    def serialize(value):
        return b"mine:" + repr(value).encode()

    @staticmethod
    def deserialize(payload):
        return eval(payload.removeprefix(b"mine:"))

print(cloudpickle.dumps(Own()).hex())
"""


def test_a_serializer_of_the_clients_main_reads_the_call_and_writes_the_result(run: Run) -> None:
    written = subprocess.run([sys.executable, "-c", OWN_SERIALIZER], capture_output=True, text=True, check=True)
    serializer = bytes.fromhex(written.stdout)
    sequence, command = run.inline(Call(serializer, b"mine:max", (b"mine:3", b"mine:4")))
    assert run.start(*command).finish()[0] == 0
    [outcome] = run.published(sequence)[0]
    assert (outcome.status, bytes(outcome.value)) == (Status.SUCCESS, b"mine:4")
