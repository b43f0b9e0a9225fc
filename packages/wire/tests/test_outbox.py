from __future__ import annotations

from scaler_batch.wire.outbox import Outbox


def sent_again(outbox: Outbox) -> list[bytes]:
    outbox.take()
    outbox.send_again()
    return outbox.take()


def test_frames_leave_once_and_in_order() -> None:
    outbox = Outbox()
    outbox.put(b"log")
    outbox.put(b"result", keep=True)
    outbox.put_heartbeat(b"heartbeat")
    assert outbox.take() == [b"log", b"result", b"heartbeat"]
    assert outbox.take() == []


def test_only_what_must_not_be_lost_goes_again() -> None:
    outbox = Outbox()
    outbox.put(b"log")
    outbox.put(b"one", keep=True)
    outbox.put_heartbeat(b"heartbeat")
    outbox.put(b"two", keep=True)
    assert sent_again(outbox) == [b"one", b"two"]


def test_an_answered_heartbeat_tells_that_what_came_before_it_has_arrived() -> None:
    outbox = Outbox()
    outbox.put(b"one", keep=True)
    outbox.put_heartbeat(b"heartbeat")
    outbox.put(b"two", keep=True)
    outbox.heartbeat_answered()
    assert sent_again(outbox) == [b"two"]
    assert sent_again(outbox) == [b"two"]


def test_with_several_heartbeats_unanswered_an_answer_counts_for_the_oldest() -> None:
    outbox = Outbox()
    for number in (b"1", b"2"):
        outbox.put(number, keep=True)
        outbox.put_heartbeat(b"heartbeat")
    outbox.heartbeat_answered()
    assert sent_again(outbox) == [b"2"]


def test_after_a_loss_only_a_heartbeat_sent_since_then_tells_anything() -> None:
    outbox = Outbox()
    outbox.put(b"one", keep=True)
    outbox.put_heartbeat(b"heartbeat")
    outbox.send_again()
    outbox.heartbeat_answered()
    assert sent_again(outbox) == [b"one"]
    outbox.put_heartbeat(b"heartbeat")
    outbox.heartbeat_answered()
    assert sent_again(outbox) == []
