"""Waiting for what moves by itself, along scripts of what AWS says."""

from __future__ import annotations

import pytest

from scaler_batch.provision import BrokenError, Patience, Phase, WaitError
from scaler_batch.provision.resources.batch_status import Status, StatusWatch
from scaler_batch.provision.waiting import Waiter


class Scripted:
    """Says one status after the other, and the last one for ever."""

    def __init__(self, *script: str) -> None:
        self._script = [Status(one, f"because {one.lower()}") if one else None for one in script]
        self.told_to_look_again = 0
        self.now = 0.0

    def look(self) -> Status | None:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def look_again(self) -> None:
        self.told_to_look_again += 1

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def watch(self) -> StatusWatch:
        waiter = Waiter(Patience(ready=100, gone=100, propagation=30), clock=lambda: self.now, sleep=self.sleep)
        return StatusWatch("queue q", self.look, waiter)


def test_what_is_being_made_is_awaited() -> None:
    scripted = Scripted("CREATING", "CREATING", "VALID")
    scripted.watch.until_valid(scripted.look_again)
    assert scripted.told_to_look_again == 0


def test_what_is_not_visible_yet_is_awaited() -> None:
    scripted = Scripted("", "CREATING", "VALID")
    scripted.watch.until_valid(scripted.look_again)


def test_aws_is_told_to_look_again_at_what_it_finds_invalid_too_soon() -> None:
    scripted = Scripted("CREATING", "INVALID", "UPDATING", "VALID")
    scripted.watch.until_valid(scripted.look_again)
    assert scripted.told_to_look_again == 1


def test_what_stays_invalid_is_broken_with_the_reason() -> None:
    scripted = Scripted("INVALID")
    with pytest.raises(BrokenError, match="queue q is invalid: because invalid"):
        scripted.watch.until_valid(scripted.look_again)
    assert scripted.now >= 30
    assert scripted.told_to_look_again


def test_what_never_settles_times_out_with_the_reason() -> None:
    scripted = Scripted("CREATING")
    with pytest.raises(WaitError, match="CREATING: because creating"):
        scripted.watch.until_valid(scripted.look_again)


def test_what_is_being_removed_is_awaited() -> None:
    scripted = Scripted("DELETING", "DELETING", "")
    scripted.watch.until_gone()


def test_what_cannot_be_removed_is_broken_with_the_reason() -> None:
    with pytest.raises(BrokenError, match="cannot be removed: because invalid"):
        Scripted("DELETING", "INVALID").watch.until_gone()


@pytest.mark.parametrize("last", ["VALID", "INVALID", ""])
def test_changes_wait_until_it_is_still(last: str) -> None:
    Scripted("CREATING", "UPDATING", last).watch.until_still()


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("VALID", Phase.READY),
        ("CREATING", Phase.SETTLING),
        ("UPDATING", Phase.SETTLING),
        ("INVALID", Phase.SETTLING),
        ("DELETING", Phase.LEAVING),
    ],
)
def test_phases(status: str, phase: Phase) -> None:
    assert Status(status, "").phase is phase
