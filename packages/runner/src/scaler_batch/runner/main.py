"""The whole story: read the request, load the calls, run them, publish what came of them.

A call that raises or crashes has an outcome like any other. The exit code says how the *runner* fared
(:class:`~scaler_batch.payload.contract.ExitCode`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scaler_batch.payload import Failure, Outcome, Status
from scaler_batch.payload.contract import PAYLOAD_KEY_VARIABLE, ExitCode
from scaler_batch.runner import log
from scaler_batch.runner.bundle import BundleRun
from scaler_batch.runner.container import Container
from scaler_batch.runner.environment import mismatch
from scaler_batch.runner.errors import RunnerError
from scaler_batch.runner.forgetting import forget_variable
from scaler_batch.runner.loading import load
from scaler_batch.runner.publication import Publisher
from scaler_batch.runner.request import parse_request
from scaler_batch.runner.supervision import Supervisor


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job's bundle.

    Args:
        argv: The command line without the program's name; by default that of the process.

    Returns:
        The exit code, one of :class:`~scaler_batch.payload.contract.ExitCode`.
    """
    with Supervisor() as supervisor:
        try:
            _run(sys.argv[1:] if argv is None else argv, supervisor)
        except RunnerError as error:
            log.line("runner_failed", exit_code=int(error.exit_code), error=type(error).__name__, message=str(error))
            return int(error.exit_code)
    return int(ExitCode.PUBLISHED)


def _run(argv: Sequence[str], supervisor: Supervisor) -> None:
    request = parse_request(argv, os.environ)
    log.begin()
    forget_variable(PAYLOAD_KEY_VARIABLE)
    loaded = load(request, supervisor)
    publisher = Publisher(request, supervisor)
    if words := mismatch(loaded.bundle):
        for position, _ in loaded.unanswered:
            publisher.add(Outcome(position, Status.MISMATCHED, failure=Failure(message=words)))
        log.line("mismatched", message=words)
    else:
        BundleRun(request, loaded, supervisor, publisher, Container()).run()
    publisher.finish()
