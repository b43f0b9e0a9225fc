from __future__ import annotations

import math
import operator
import pickle
import subprocess
import sys

import pytest

from scaler_batch.payload import Call
from scaler_batch.payload.calls import CloudpickleSerializer, SerializerBase, make_call, open_call
from scaler_batch.payload.errors import MalformedError

DEFAULT_SERIALIZER = bytes.fromhex(
    "8005953d000000000000008c207363616c65722e636c69656e742e73657269616c697a65722e64656661756c74"
    "948c1144656661756c7453657269616c697a65729493942981942e"
)
"""What a client of opengris-scaler 2.9.0 sends."""


@pytest.fixture(autouse=True)
def no_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container has no such package; where the developer has, it must not help."""
    monkeypatch.setitem(sys.modules, "scaler", None)


def test_a_call_runs_and_its_result_is_written_by_the_serializer() -> None:
    opened = open_call(make_call(b"1", math.hypot, 3, 4))
    assert opened.function is math.hypot
    assert opened.arguments == (3, 4)
    assert pickle.loads(opened.run()) == 5.0


def test_a_function_without_a_module_travels_by_value() -> None:
    factor = 3
    opened = open_call(make_call(b"1", lambda number: number * factor, 14))
    assert pickle.loads(opened.run()) == 42


def test_values_may_be_views_into_a_pack() -> None:
    call = make_call(b"1", operator.add, 1, 2)
    viewed = Call(
        call.task_id,
        memoryview(call.serializer),
        memoryview(call.function),
        tuple(memoryview(argument) for argument in call.arguments),
    )
    assert pickle.loads(open_call(viewed).run()) == 3


def test_the_clients_default_serializer_is_loaded_without_scaler() -> None:
    call = make_call(b"1", math.sqrt, 16)
    opened = open_call(Call(call.task_id, DEFAULT_SERIALIZER, call.function, call.arguments))
    assert isinstance(opened.serializer, CloudpickleSerializer)
    assert pickle.loads(opened.run()) == 4.0


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


def test_a_serializer_of_the_users_own_is_loaded_by_value() -> None:
    client = subprocess.run([sys.executable, "-c", OWN_SERIALIZER], capture_output=True, text=True, check=True)
    written = bytes.fromhex(client.stdout)
    assert b"scaler.client.serializer.mixins" in written

    opened = open_call(Call(b"1", written, b"mine:abs", (b"mine:-3",)))
    assert isinstance(opened.serializer, SerializerBase)
    assert opened.run() == b"mine:3"


def test_a_serializer_that_cannot_serialize_is_refused() -> None:
    with pytest.raises(MalformedError, match="int"):
        open_call(Call(b"1", pickle.dumps(5), b"", ()))


def test_what_the_serializer_raises_passes_through() -> None:
    call = make_call(b"1", math.sqrt, 16)
    with pytest.raises(pickle.UnpicklingError):
        open_call(Call(call.task_id, call.serializer, b"garbage", call.arguments))
