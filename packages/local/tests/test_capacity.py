from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local.batch import texts
from scaler_batch.local.batch.capacity import Capacity
from scaler_batch.local.batch.fleet import Fleet
from scaler_batch.local.batch.vocabulary import Environment, Resources

SMALL, LARGE = Environment("arn:small", "small", 2), Environment("arn:large", "large", 8)
ONE = Resources(1, 100)


class Nowhere:
    """No zone has any type."""

    def site(self, environment: str, instance_type: str, nth: int) -> None:
        return None


def make(slots: int, memory_mib: int | None = None) -> Capacity:
    """Room where jobs need no instances."""
    return Capacity(slots, Fleet(None, Nowhere()), memory_mib)


def test_the_first_environment_with_room_is_taken() -> None:
    capacity = make(slots=10)
    assert capacity.place(ONE, [SMALL, LARGE]) is SMALL
    capacity.take("a", Resources(2, 100), SMALL)
    assert capacity.place(ONE, [SMALL, LARGE]) is LARGE


def test_slots_bound_whatever_the_environments_say() -> None:
    capacity = make(slots=1)
    capacity.take("a", ONE, LARGE)
    assert capacity.full
    assert capacity.place(ONE, [LARGE]) is None


def test_memory_bounds_when_it_is_given() -> None:
    capacity = make(slots=10, memory_mib=150)
    capacity.take("a", ONE, LARGE)
    assert capacity.place(ONE, [LARGE]) is None
    assert make(slots=10).place(Resources(1, 10**9), [LARGE]) is LARGE


def test_a_job_that_never_fits_is_told_apart_from_one_that_waits() -> None:
    capacity = make(slots=10, memory_mib=1000)
    assert capacity.never_fits(Resources(9, 100), [SMALL, LARGE]) == texts.TOO_MANY_VCPUS
    assert capacity.never_fits(Resources(8, 2000), [SMALL, LARGE]) == texts.TOO_MUCH_MEMORY
    assert capacity.never_fits(Resources(8, 1000), [SMALL, LARGE]) is None
    assert capacity.never_fits(ONE, []) is None


@given(st.lists(st.tuples(st.floats(0.25, 4), st.integers(4, 400)), max_size=20))
def test_what_is_given_back_is_free_again(jobs: list[tuple[float, int]]) -> None:
    capacity = make(slots=5, memory_mib=1000)
    held = []
    for number, (vcpus, memory) in enumerate(jobs):
        wanted = Resources(vcpus, memory)
        environment = capacity.place(wanted, [SMALL, LARGE])
        if environment is not None:
            capacity.take(str(number), wanted, environment)
            held.append(str(number))
        assert capacity.used_slots <= 5
        assert capacity.used_vcpus(SMALL.arn) <= 2
        assert capacity.used_vcpus(LARGE.arn) <= 8
    for holder in held:
        capacity.give_back(holder, 0.0)
    assert capacity.used_slots == 0
    assert abs(capacity.used_vcpus(SMALL.arn)) + abs(capacity.used_vcpus(LARGE.arn)) < 1e-9
