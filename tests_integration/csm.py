"""Requests of boto3 in other processes, counted: its client-side monitoring sends a datagram for each of them.

Any program with boto3 in it does so when three variables of its environment say so; nothing in it need be changed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import Counter
from typing import Self

_LARGEST = 64 * 1024


class RequestCounter:
    """Counts for as long as a block lasts.

    Attributes:
        counted: Requests by service and operation.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, name="requests", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closing:
            closing.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a program has to have in its environment."""
        host, port = self._socket.getsockname()
        return {"AWS_CSM_ENABLED": "true", "AWS_CSM_HOST": host, "AWS_CSM_PORT": str(port)}

    def _listen(self) -> None:
        while datagram := self._socket.recv(_LARGEST):
            with contextlib.suppress(ValueError, KeyError):
                event = json.loads(datagram)
                if event["Type"] == "ApiCallAttempt":
                    self.counted[f"{event['Service']}.{event['Api']}"] += 1
