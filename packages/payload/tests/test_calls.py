from __future__ import annotations

import math
import operator
import pickle
import subprocess
import sys

import cloudpickle  # type: ignore[import-untyped]
import pytest

from scaler_batch.payload import Call, Reference
from scaler_batch.payload.calls import CloudpickleSerializer, SerializerBase, make_call, needs_cloudpickle, open_call
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
    opened = open_call(make_call(math.hypot, 3, 4))
    assert opened.function is math.hypot
    assert opened.arguments == (3, 4)
    assert pickle.loads(opened.run()) == 5.0


def test_a_function_without_a_module_travels_by_value() -> None:
    factor = 3
    opened = open_call(make_call(lambda number: number * factor, 14))
    assert pickle.loads(opened.run()) == 42


def test_values_may_be_views_into_a_pack() -> None:
    call = make_call(operator.add, 1, 2)
    assert pickle.loads(open_call(call.changed(memoryview)).run()) == 3
    assert pickle.loads(open_call(call.changed(lambda value: memoryview(bytearray(value)))).run()) == 3


def test_the_clients_default_serializer_is_loaded_without_scaler() -> None:
    call = make_call(math.sqrt, 16)
    opened = open_call(Call(DEFAULT_SERIALIZER, call.function, call.arguments))
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
        assert type(payload) is bytes
        return eval(payload.removeprefix(b"mine:"))

print(cloudpickle.dumps(Own()).hex())
"""


def test_a_serializer_of_the_users_own_is_loaded_by_value() -> None:
    client = subprocess.run([sys.executable, "-c", OWN_SERIALIZER], capture_output=True, text=True, check=True)
    written = bytes.fromhex(client.stdout)
    assert b"scaler.client.serializer.mixins" in written

    opened = open_call(Call(written, b"mine:abs", (memoryview(b"mine:-3"),)))
    assert isinstance(opened.serializer, SerializerBase)
    assert opened.run() == b"mine:3"


def test_an_object_that_was_not_fetched_is_named() -> None:
    call = make_call(math.sqrt, 16)
    for unfetched in (call._replace(function=Reference("objects/x", 1)), call._replace(serializer=Reference("y", 1))):
        with pytest.raises(MalformedError, match="was not fetched"):
            open_call(unfetched)


@pytest.mark.parametrize(
    "value", [None, True, 5, -1.5, 2j, "text", b"bytes", bytearray(b"b"), [1], {"a": (1,)}, math.sqrt]
)
def test_a_result_is_written_as_cloudpickle_writes_it(value: object) -> None:
    written = CloudpickleSerializer.serialize(value)
    assert written == cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    assert CloudpickleSerializer.deserialize(memoryview(written)) == value


def test_a_call_of_plain_things_is_run_without_importing_cloudpickle() -> None:
    call = make_call(math.hypot, 3, 4)
    script = (
        "import sys\n"
        "from scaler_batch.payload import Call\n"
        "from scaler_batch.payload.calls import open_call\n"
        f"call = Call({call.serializer!r}, {call.function!r}, {call.arguments!r})\n"
        "print(open_call(call).run().hex(), 'cloudpickle' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    result, imported = done.stdout.split()
    assert (pickle.loads(bytes.fromhex(result)), imported) == (5.0, "False")


def test_what_travels_by_value_is_known_to_need_cloudpickle() -> None:
    plain = make_call(math.sqrt, 16)
    by_value = make_call(lambda number: number, 16)
    assert not needs_cloudpickle([plain, plain.changed(memoryview), plain._replace(function=Reference("x", 1))])
    for call in (by_value, by_value.changed(memoryview), make_call(map, lambda number: number, [1])):
        assert needs_cloudpickle([plain, call])


def test_a_serializer_that_cannot_serialize_is_refused() -> None:
    with pytest.raises(MalformedError, match="int"):
        open_call(Call(pickle.dumps(5), b"", ()))


def test_what_the_serializer_raises_passes_through() -> None:
    call = make_call(math.sqrt, 16)
    with pytest.raises(pickle.UnpicklingError):
        open_call(Call(call.serializer, b"garbage", call.arguments))
