"""The layer in the chain that does to calls what the injected faults say.

Faults come in the order of their injection, each around the next: a call that the first refuses is none for the
second, and one that the first delays may still be refused by the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..web.chain import Answer, Call, Disconnect, Proceed
from .refusals import refusal
from .vocabulary import CallFault, Drop, LoseResponse, ServerError, Slow

Struck = Callable[[Call], Iterator[CallFault]]


class FaultLayer:
    """Does what faults do.

    Args:
        struck: The faults that strike a call. Asked for the next one only when the one before lets the call pass.
        wait: Waits for so many seconds.
    """

    def __init__(self, struck: Struck, wait: Callable[[float], object]) -> None:
        self._struck = struck
        self._wait = wait

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Let a call suffer, or pass."""
        return self._suffer(call, proceed, self._struck(call))

    def _suffer(self, call: Call, proceed: Proceed, faults: Iterator[CallFault]) -> Answer:
        fault = next(faults, None)
        if fault is None:
            return proceed()
        return self._act(fault, call, lambda: self._suffer(call, proceed, faults))

    def _act(self, fault: CallFault, call: Call, go_on: Proceed) -> Answer:
        match fault:
            case Slow(seconds=seconds):
                self._wait(seconds)
                return go_on()
            case Drop():
                raise Disconnect
            case LoseResponse():
                go_on()
                raise Disconnect
            case ServerError(done=True):
                go_on()
            case _:
                _read_whole(call)
        return refusal(fault, call)


def _read_whole(call: Call) -> None:
    """Take a request off the connection, on which the next one follows."""
    call.environ["wsgi.input"].read()
