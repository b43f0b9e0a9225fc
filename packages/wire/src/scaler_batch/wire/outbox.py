"""Frames on their way to the scheduler, and those that may have to go again.

The protocol acknowledges nothing, and a connection that breaks takes with it what was still in its buffers. A result or
a confirm lost like this would leave its client waiting for ever, because the scheduler keeps the worker's tasks. But
the link keeps its order, so the answer to a heartbeat tells that everything sent before that heartbeat has arrived.
Until then results and confirms are kept, and go again when the link was lost and came back; the scheduler passes over
those that it had received.
"""

from __future__ import annotations

from collections import deque


class Outbox:
    """The frames to be sent, in order, and the kept ones among those already sent."""

    def __init__(self) -> None:
        self._queue: list[bytes] = []
        self._kept: deque[bytes] = deque()
        self._known = 0
        """How many kept frames are known to have arrived, of all there ever were."""
        self._marks: deque[int] = deque()
        """For each unanswered heartbeat, oldest first: how many kept frames there ever were before it."""

    def put(self, frame: bytes, *, keep: bool = False) -> None:
        """Send a frame, and keep it if it must not be lost."""
        self._queue.append(frame)
        if keep:
            self._kept.append(frame)

    def put_heartbeat(self, frame: bytes) -> None:
        """Send a heartbeat."""
        self._queue.append(frame)
        self._marks.append(self._known + len(self._kept))

    def heartbeat_answered(self) -> None:
        """Let go of what was sent before the oldest unanswered heartbeat, which is the least that has arrived."""
        if not self._marks:
            return
        arrived = self._marks.popleft()
        while self._known < arrived:
            self._kept.popleft()
            self._known += 1

    def send_again(self) -> None:
        """Send what was kept once more, for the link was lost."""
        self._queue.extend(self._kept)
        self._marks.clear()

    def take(self) -> list[bytes]:
        """Return the frames that are to be sent since the last call."""
        queue, self._queue = self._queue, []
        return queue
