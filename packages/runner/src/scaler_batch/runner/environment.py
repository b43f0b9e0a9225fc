"""Whether this container can read what the client wrote.

A function that travels by value is byte code, which each minor version of Python has its own of: read by another, it
raises nonsense, or kills the process. cloudpickle changes how it writes between its major versions. Both are compared
before anything is unpickled.
"""

from __future__ import annotations

import sys

from scaler_batch.payload import Bundle, Client
from scaler_batch.payload.calls import needs_cloudpickle


def this_side() -> Client:
    """What this interpreter reads and writes calls with."""
    # Imported where it is needed: no other module takes as long.
    import cloudpickle  # type: ignore[import-untyped]

    return Client(_python(), cloudpickle.__version__)


def mismatch(bundle: Bundle) -> str | None:
    """Return what is wrong and how to mend it, or ``None`` if nothing is, or the client is not known.

    Args:
        bundle: What is to be read. Its calls' children find cloudpickle imported where they will need it.
    """
    client, python = bundle.client, _python()
    if client is not None and client.python != python:
        return (
            f"the task was written by Python {client.python} and the container image has Python {python}: build "
            f"the image with Python {client.python}, or run client and worker with Python {python}"
        )
    if not needs_cloudpickle(bundle.calls):
        return None
    here = this_side()
    if client is not None and _major(client.cloudpickle) != _major(here.cloudpickle):
        return (
            f"the task was written by cloudpickle {client.cloudpickle} and the container image has cloudpickle "
            f"{here.cloudpickle}: install the same major version on both sides"
        )
    return None


def _python() -> str:
    return "{}.{}".format(*sys.version_info)


def _major(version: str) -> str:
    return version.partition(".")[0]
