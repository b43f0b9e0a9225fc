"""``scaler-batch-worker``: options in, a running worker out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

from scaler_batch.adapter import __version__
from scaler_batch.adapter.configuration import program_of
from scaler_batch.adapter.errors import AdapterError
from scaler_batch.adapter.logs import start_logging
from scaler_batch.adapter.loops import factory_of
from scaler_batch.adapter.options import FOREIGN, OPTIONS, Option
from scaler_batch.adapter.process import leave_within, run_program
from scaler_batch.adapter.settings import ProgramSettings
from scaler_batch.adapter.sources import PREFIX, SECTION, Chosen, choose
from scaler_batch.aws import AwsError, printable
from scaler_batch.tasks import TasksError
from scaler_batch.wire import TlsError, WireError

EXIT_STOPPED, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

_EPILOG = f"""\
Every option may also stand in the environment ({PREFIX}JOB_QUEUE for --job-queue), in the section
[{SECTION}] of the TOML file that --config names (job_queue), and some in the file that
--from-provisioned names. The command line goes over the environment, that over the TOML file, that over the
provisioner's file. `scaler-batch-worker status` shows what a worker with --metrics-port is doing.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker and return its exit code: 0 stopped in order, 1 could not work or go on, 2 wrong options."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["status"]:
        from scaler_batch.adapter import status

        return status.main(words[1:])
    try:
        flags = parser().parse_args(words)
        showing = vars(flags).pop("show_settings", False)
        chosen = choose(flags, os.environ)
        settings = program_of(chosen)
        if showing:
            return _show(chosen)
        settings.worker.link.tls.context()  # files that cannot be used are told before anything starts
        start_logging(settings.logs)
    except (AdapterError, TasksError, TlsError) as error:
        _complain(error)
        return EXIT_USAGE
    return _run(settings)


def program() -> NoReturn:
    """Be the process of :func:`main`, and end it at once when that is done.

    Nothing is left to be tidied up then, and taking a large program apart may last longer than the shutdown deadline
    leaves on a busy machine, at a time when Python runs no thread that could cut it short.
    """
    code = main()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def _run(settings: ProgramSettings) -> int:
    code = EXIT_STOPPED
    try:
        with asyncio.Runner(loop_factory=factory_of(settings.event_loop)) as runner:
            runner.run(run_program(settings, partial(leave_within, settings.worker.shutdown_deadline)))
    except* (AdapterError, AwsError, TasksError, WireError) as failures:
        code = EXIT_FAILED
        for failure in _leaves(failures):
            _complain(failure)
    return code


def _complain(error: BaseException) -> None:
    for line in str(error).splitlines():
        print(f"scaler-batch-worker: {printable(line)}", file=sys.stderr)  # noqa: T201


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


class _Help(argparse.HelpFormatter):
    """Help that reads the same whichever Python prints it, and however wide the terminal is."""

    def __init__(self, prog: str, **_: Any) -> None:
        super().__init__(prog, max_help_position=32, width=100)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(" ".join(text.split()), width, break_on_hyphens=False)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        values = "" if action.nargs == 0 else f" {action.metavar}{' …' if action.nargs == '+' else ''}"
        return ", ".join(action.option_strings) + values


def parser() -> argparse.ArgumentParser:
    """The command line; it only says what was given, in which words, and judges nothing."""
    command = argparse.ArgumentParser(
        prog="scaler-batch-worker",
        description="Join a Scaler scheduler as a worker and run its tasks as AWS Batch jobs.",
        epilog=_EPILOG,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        usage="%(prog)s [options]\n       %(prog)s status [options]",
        formatter_class=_Help,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        if option.group not in groups:
            groups[option.group] = command.add_argument_group(option.group)
        _add(groups[option.group], option)
    for name in FOREIGN:
        command.add_argument("--" + name.replace("_", "-"), dest=name, nargs="*", help=argparse.SUPPRESS)
    command.add_argument("--show-settings", action="store_true", help="say what is in force and where from, and leave")
    command.add_argument("--version", action="version", version=__version__)
    return command


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    standard = option.otherwise if option.otherwise == "required" else f"default: {option.standard}"
    group.add_argument(
        *option.flags,
        dest=option.name,
        metavar=option.metavar,
        help=f"{option.help} ({standard})".replace("%", "%%"),
        nargs="+" if option.kind.many else None,
    )


def _show(chosen: Chosen) -> int:
    for option in OPTIONS:
        value = chosen[option.name]
        shown = option.otherwise if value is None else value
        print(f"{option.name} = {shown}  ({chosen.source(option.name)})")  # noqa: T201
    return EXIT_STOPPED
