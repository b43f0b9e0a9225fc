"""The command line in full: help, and errors that say what to do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from scaler_batch.runner.errors import RequestError


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}. {self.format_usage().strip()}")


def explain(arguments: Sequence[str]) -> dict[str, str]:
    """Read a command line that is not plainly that of a job definition.

    Returns:
        Values by option.

    Raises:
        RequestError: It cannot be read.
        SystemExit: It asked for help, which was printed.
    """
    options, rest = _parser().parse_known_args(arguments)
    if rest:
        # Not what they are: they may be pieces of a pack.
        raise RequestError(f"{len(rest)} arguments too many: use the job definition's command as it was provisioned")
    return {f"--{name}": value for name, value in vars(options).items()}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scaler-batch-runner",
        description="Run the calls of one AWS Batch job and publish what came of them. Job definitions call it; "
        "the task manager fills in the values.",
        allow_abbrev=False,
    )
    parser.add_argument("--run", required=True, metavar="ADDRESS", help="s3://bucket/prefix/run-id?region=…")
    parser.add_argument("--sequence", required=True, metavar="N", help="number of the submission within the run")
    parser.add_argument("--pack", required=True, metavar="BASE64|sha256:…", help="the pack, or its hash in the store")
    parser.add_argument("--key", default="", metavar="KEY", help="key of the submission, or container:FINGERPRINT")
    parser.add_argument(
        "--processes",
        default="0",
        metavar="N",
        help="calls of the bundle that run side by side (default: what the pack says, else the container's processors)",
    )
    return parser
