from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.errors import LocalProtocolError, RemoteProtocolError
from scaler_batch.wire.flags import Profile, TaskFlags

f32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.builds(TaskFlags, st.booleans(), st.integers(-(2**31), 2**31 - 1), st.booleans()))
def test_flags_come_back_as_they_were(flags: TaskFlags) -> None:
    assert TaskFlags.decode(flags.encode()) == flags


@given(st.builds(Profile, f32, st.integers(0, 2**64 - 1), f32))
def test_a_profile_comes_back_as_it_was(profile: Profile) -> None:
    assert Profile.decode(profile.encode()) == profile


def test_a_task_without_flags_has_the_defaults() -> None:
    assert TaskFlags.decode(b"") == TaskFlags(profiling=True, priority=0, stream_output=False)


def test_priority_is_big_endian() -> None:
    assert TaskFlags.decode(bytes.fromhex("00 00000102 01")) == TaskFlags(False, 0x102, True)


@pytest.mark.parametrize("length", [1, 5, 7, 16])
def test_flags_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"6 bytes, not {length}"):
        TaskFlags.decode(bytes(length))


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_profile_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"16 bytes, not {length}"):
        Profile.decode(bytes(length))


@pytest.mark.parametrize(
    "profile", [Profile(memory_peak=-1), Profile(memory_peak=2**64), Profile(duration=1e39), Profile(cpu=float("nan"))]
)
def test_a_profile_that_cannot_be_expressed_is_our_own_mistake(profile: Profile) -> None:
    with pytest.raises(LocalProtocolError):
        profile.encode()


def test_a_priority_that_cannot_be_expressed_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="priority"):
        TaskFlags(priority=2**31).encode()
