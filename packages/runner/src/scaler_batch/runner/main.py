"""The whole story: read the request, load the calls, run them, publish what came of them.

A call that raises or crashes has an outcome like any other. The exit code says how the *runner* fared
(:class:`~scaler_batch.payload.contract.ExitCode`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scaler_batch.payload.contract import ExitCode
from scaler_batch.runner import log
from scaler_batch.runner.errors import RunnerError
from scaler_batch.runner.execution import run_bundle
from scaler_batch.runner.loading import load_bundle
from scaler_batch.runner.publication import publish
from scaler_batch.runner.request import parse_request
from scaler_batch.runner.termination import Termination


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job's bundle.

    Args:
        argv: The command line without the program's name; by default that of the process.

    Returns:
        The exit code, one of :class:`~scaler_batch.payload.contract.ExitCode`.
    """
    with Termination() as termination:
        try:
            request = parse_request(sys.argv[1:] if argv is None else argv, os.environ)
            # Nested, so that the pack is let go before the outcomes are put together.
            publish(request, run_bundle(load_bundle(request, termination), termination))
        except RunnerError as error:
            log.line("runner_failed", exit_code=int(error.exit_code), error=type(error).__name__, message=str(error))
            return int(error.exit_code)
    return int(ExitCode.PUBLISHED)
