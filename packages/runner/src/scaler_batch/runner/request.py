"""What this job was asked to do: the command line and AWS Batch's own variables, read once.

The command line is that of :data:`scaler_batch.payload.contract.RUNNER_COMMAND`. AWS Batch leaves a ``Ref::name`` in
place when a job was submitted without that parameter, and the messages here say so, since whoever reads them sees a
job's log and not its submission.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

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
    """

    run: RunLocation
    sequence: int
    pack: str
    array_index: int | None
    origin: Origin


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}. {self.format_usage().strip()}")


def parse_request(arguments: Sequence[str], environment: Mapping[str, str]) -> Request:
    """Read the command line and the environment.

    Raises:
        RequestError: They are not what the contract says.
    """
    options, rest = _parser().parse_known_args(arguments)
    if rest:
        # Not what they are: they may be pieces of a pack.
        raise RequestError(f"{len(rest)} arguments too many: use the job definition's command as it was provisioned")
    index = environment.get(ARRAY_INDEX_VARIABLE)
    return Request(
        run=_run(options.run),
        sequence=_number("--sequence", options.sequence),
        pack=_resolved("--pack", options.pack),
        array_index=None if index is None else _number(ARRAY_INDEX_VARIABLE, index),
        origin=_origin(environment),
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scaler-batch-runner",
        description="Run the calls of one AWS Batch job and publish what came of them. Job definitions call it; "
        "the task manager fills in the values.",
        allow_abbrev=False,
    )
    parser.add_argument("--run", required=True, metavar="ADDRESS", help="s3://bucket/prefix/run-id?region=…")
    parser.add_argument("--sequence", required=True, metavar="N", help="number of the submission within the run")
    parser.add_argument("--pack", required=True, metavar="BASE64|-", help="the pack, or - to fetch it from the store")
    return parser


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
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", _resolved(name, value)):
        raise RequestError(f"{name} is {value[:40]!r}: give a whole number from 0, without padding")
    return int(value)


def _origin(environment: Mapping[str, str]) -> Origin:
    return Origin(
        job=environment.get(JOB_ID_VARIABLE, ""),
        attempt=_number(ATTEMPT_VARIABLE, environment.get(ATTEMPT_VARIABLE, "1")),
        host=os.uname().nodename,
        python="{}.{}.{}".format(*sys.version_info),
    )
