"""The layer in the chain that does to calls what the injected faults say.

Faults come in the order of their injection, each around the next: a call that the first refuses is none for the
second, and one that the first delays may still be refused by the second.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Final

from ..web.chain import Answer, Call, Disconnect, Manner, Proceed
from .calls import CallFault, Conflict, Drop, Hang, LoseResponse, ServerError, Slow
from .refusals import refusal

Struck = Callable[[Call], Iterator[CallFault]]

_ABOUT_BODY: Final = ("HTTP_X_AMZ_", "HTTP_CONTENT_MD5", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")


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
            case Drop(reset=False):
                raise Disconnect
            case Drop():
                _read_whole(call)  # so that the client sees the reset while it waits for the answer
                raise Disconnect(Manner.RESET)
            case LoseResponse(reset=reset):
                go_on()
                raise Disconnect(Manner.RESET if reset else Manner.CLOSE)
            case Hang(done=done):
                _carry_out(call, go_on, done=done)
                raise Disconnect(Manner.SILENCE)
            case Conflict(winner=str() as winner):
                _read_whole(call)
                _replace_body(call, winner.encode())
                go_on()
            case ServerError(done=done) | Conflict(done=done):
                _carry_out(call, go_on, done=done)
            case _:
                _read_whole(call)
        return refusal(fault, call)


def _carry_out(call: Call, go_on: Proceed, *, done: bool) -> None:
    if done:
        go_on()
    else:
        _read_whole(call)


def _read_whole(call: Call) -> None:
    """Take a request off the connection, on which the next one follows."""
    call.environ["wsgi.input"].read()


def _replace_body(call: Call, body: bytes) -> None:
    """Have the request store something else: a plain body, without what the headers said about the first one."""
    for name in [name for name in call.environ if name.startswith(_ABOUT_BODY)]:
        del call.environ[name]
    call.environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
