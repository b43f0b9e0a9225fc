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
from scaler_batch.payload import JobSeal, Origin, RunLocation, RunSeal, Seal, SubmissionSeal
from scaler_batch.payload.contract import (
    ARRAY_INDEX_VARIABLE,
    ATTEMPT_VARIABLE,
    JOB_ID_VARIABLE,
    KEY_IN_CONTAINER,
    PAYLOAD_KEY_VARIABLE,
    PRIVATE_VARIABLE,
)
from scaler_batch.payload.errors import ContractError
from scaler_batch.runner.errors import RequestError


class Request(NamedTuple):
    """One job's orders.

    Attributes:
        run: Where the run's objects lie.
        sequence: Number of the submission within the run.
        pack: Value of the pack parameter: base64, or the sign that the pack lies in the store.
        array_index: Place of this child in its array; ``None`` in a single job.
        seal: What the job signs its outcomes with.
        origin: What the outcomes will say about where they come from.
        processes: How many calls may run side by side; 0 where the command line leaves it open.
        private: Whether the log is to name neither functions nor classes of exceptions.
    """

    run: RunLocation
    sequence: int
    pack: str
    array_index: int | None
    seal: JobSeal
    origin: Origin
    processes: int = 0
    private: bool = False

    @property
    def bundle_index(self) -> int:
        """Which bundle of the pack is this job's."""
        return self.array_index or 0


_OLD_DEFINITION: Final = (
    "the command line has no --key: the job definition is of an older release. Provision it again with the release of "
    "the worker (scaler-batch-provision provision), so that its command is that of this image"
)
_KEY_THERE_ONLY: Final = (
    f"the worker has a payload key, and this container has none in {PAYLOAD_KEY_VARIABLE}: have the job definition "
    "deliver it as a secret (scaler-batch-provision provision), or start the worker without --payload-key"
)
_KEY_HERE_ONLY: Final = (
    f"this container has a payload key in {PAYLOAD_KEY_VARIABLE}, and the worker has none: start the worker with "
    "--payload-key and the same key, or take the secret out of the job definition"
)
_OTHER_KEY: Final = (
    f"the payload key in {PAYLOAD_KEY_VARIABLE} is not the one that the worker has: give both the same "
    "(the worker's --payload-key, and the secret of the job definition), and start the worker again"
)

_REQUIRED: Final = frozenset({"--run", "--sequence", "--pack"})
_DEFAULTS: Final = {"--key": "", "--processes": "0"}


def parse_request(arguments: Sequence[str], environment: Mapping[str, str]) -> Request:
    """Read the command line and the environment.

    Raises:
        RequestError: They are not what the contract says.
    """
    options = _options(arguments)
    run, sequence = _run(options["--run"]), _number("--sequence", options["--sequence"])
    found = environment.get(ARRAY_INDEX_VARIABLE)
    index = None if found is None else _number(ARRAY_INDEX_VARIABLE, found)
    submission = _seal(run, sequence, _resolved("--key", options["--key"]), environment.get(PAYLOAD_KEY_VARIABLE))
    return Request(
        run=run,
        sequence=sequence,
        pack=_resolved("--pack", options["--pack"]),
        array_index=index,
        seal=submission.job(index),
        origin=_origin(environment),
        processes=_number("--processes", options["--processes"]),
        private=bool(environment.get(PRIVATE_VARIABLE)),
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


def _seal(run: RunLocation, sequence: int, parameter: str, payload_key: str | None) -> SubmissionSeal:
    """Find the key of the submission: in the job's parameter, or made from the payload key of the container."""
    if not parameter:
        raise RequestError(_OLD_DEFINITION)
    try:
        if parameter.startswith(KEY_IN_CONTAINER):
            return RunSeal(run, _payload_key(parameter, payload_key)).submission(sequence)
        if payload_key:
            raise RequestError(_KEY_HERE_ONLY)
        return SubmissionSeal(str(run), sequence, Seal.parse(parameter))
    except ContractError as error:
        raise RequestError(f"--key: {error}; install the same release in the worker and in the image") from error


def _payload_key(parameter: str, found: str | None) -> Seal:
    if not found:
        raise RequestError(_KEY_THERE_ONLY)
    try:
        key = Seal.from_hex(found)
    except ContractError as error:
        raise RequestError(f"{PAYLOAD_KEY_VARIABLE}: {error}") from error
    if parameter != f"{KEY_IN_CONTAINER}{key.fingerprint}":
        raise RequestError(_OTHER_KEY)
    return key


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
