from __future__ import annotations

import io
import pickle
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.exceptions import ScalerException, pickle_scaler_exception


@pytest.fixture
def clients_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What a client has installed, by the same names."""
    module = ModuleType("scaler.utility.exceptions")
    for kind in ScalerException:
        setattr(module, kind.value, type(kind.value, (Exception,), {}))
    for name in ("scaler", "scaler.utility"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "scaler.utility.exceptions", module)
    return module


@pytest.mark.parametrize("kind", ScalerException)
def test_a_client_reads_its_own_class_with_the_text(clients_module: ModuleType, kind: ScalerException) -> None:
    error = pickle.loads(pickle_scaler_exception(kind, "ValueError: größer"))
    assert type(error) is getattr(clients_module, kind.value)
    assert error.args == ("ValueError: größer",)


class _Finder(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        assert module == "scaler.utility.exceptions"
        return Exception


@given(st.text())
def test_any_text_arrives(text: str) -> None:
    assert _Finder(io.BytesIO(pickle_scaler_exception(ScalerException.PROCESSOR_DIED, text))).load().args == (text,)
