"""What this job was asked to do: the command line and AWS Batch's own variables, read once.

The command line is that of :data:`scaler_batch.payload.contract.RUNNER_COMMAND`. AWS Batch leaves a ``Ref::name`` in
place when a job was submitted without that parameter, and the messages here say so, since whoever reads them sees a
job's log and not its submission.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from scaler_batch import payload, runner
from scaler_batch.payload import Origin, RunLocation
from scaler_batch.payload.contract import ARRAY_INDEX_VARIABLE, ATTEMPT_VARIABLE, JOB_ID_VARIABLE
from scaler_batch.payload.errors import ContractError
from scaler_batch.runner.errors import RequestError


class Request(NamedTuple):
    """One job's orders.

    Attributes:
        run: Where the run's objects lie.
        sequence: Number of the submission within the run.
        pack: Value of the pack parameter: base64, or the sign that the pack lies in the store.
        array_index: Place of this child in its array; ``None`` in a single job.
        origin: What the outcomes will say about where they come from.
        processes: How many calls may run side by side; 0 where the command line leaves it open.
    """

    run: RunLocation
    sequence: int
    pack: str
    array_index: int | None
    origin: Origin
    processes: int = 0

    @property
    def bundle_index(self) -> int:
        """Which bundle of the pack is this job's."""
        return self.array_index or 0


_REQUIRED: Final = frozenset({"--run", "--sequence", "--pack"})
_DEFAULTS: Final = {"--processes": "0"}


def parse_request(arguments: Sequence[str], environment: Mapping[str, str]) -> Request:
    """Read the command line and the environment.

    Raises:
        RequestError: They are not what the contract says.
    """
    options = _options(arguments)
    index = environment.get(ARRAY_INDEX_VARIABLE)
    return Request(
        run=_run(options["--run"]),
        sequence=_number("--sequence", options["--sequence"]),
        pack=_resolved("--pack", options["--pack"]),
        array_index=None if index is None else _number(ARRAY_INDEX_VARIABLE, index),
        origin=_origin(environment),
        processes=_number("--processes", options["--processes"]),
    )


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """Read the options; what is not as a job definition writes it is left to argparse, which takes long to import."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) == 2 * len(given) and _REQUIRED <= given.keys() <= _REQUIRED | _DEFAULTS.keys():
        return _DEFAULTS | given
    from scaler_batch.runner.command_line import explain

    return explain(arguments)


def _resolved(name: str, value: str) -> str:
    if value.startswith("Ref::"):
        raise RequestError(
            f"{name} is still {value}: submit the job with the parameter {value.removeprefix('Ref::')!r}"
        )
    return value


def _run(value: str) -> RunLocation:
    try:
        return RunLocation.parse(_resolved("--run", value))
    except ContractError as error:
        raise RequestError(f"--run: {error}") from error


def _number(name: str, value: str) -> int:
    if not _is_number(_resolved(name, value)):
        raise RequestError(f"{name} is {value[:40]!r}: give a whole number from 0, without padding")
    return int(value)


def _is_number(text: str) -> bool:
    # No pattern: compiling one takes longer than all else that is read here.
    return text.isascii() and text.isdigit() and len(text) < 20 and (text == "0" or text[0] != "0")


def _origin(environment: Mapping[str, str]) -> Origin:
    return Origin(
        job=environment.get(JOB_ID_VARIABLE, ""),
        attempt=_number(ATTEMPT_VARIABLE, environment.get(ATTEMPT_VARIABLE, "1")),
        host=os.uname().nodename,
        python="{}.{}.{}".format(*sys.version_info),
        packages={
            "scaler-batch-runner": runner.__version__,
            "scaler-batch-payload": payload.__version__,
        },
    )
