"""``scaler-batch-worker``: options in, a running worker out."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from scaler_batch.adapter import __version__
from scaler_batch.adapter.errors import AdapterError, SettingsError
from scaler_batch.adapter.process import serve
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.payload.placement import INLINE_LIMIT
from scaler_batch.tasks import TaskManagerSettings, TasksError
from scaler_batch.wire import LinkSettings, TransportKind, WireError

SECTION: Final = "aws_hpc_worker_adapter"
"""Section of the TOML file; Scaler's own name for it."""

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

EXIT_STOPPED, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker and return its exit code: 0 stopped in order, 1 could not work or go on, 2 wrong options."""
    try:
        options = parse(argv)
        settings = settings_of(options)
    except (AdapterError, TasksError) as error:
        print(f"scaler-batch-worker: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    _start_logging(options.log_level)
    return _run(settings)


def _start_logging(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # botocore tells at INFO how it found each endpoint: of interest only to who asks for everything.
    logging.getLogger("botocore").setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)


def _run(settings: WorkerSettings) -> int:
    code = EXIT_STOPPED
    try:
        asyncio.run(serve(settings))
    except* (AdapterError, TasksError, WireError) as failures:
        code = EXIT_FAILED
        for failure in _leaves(failures):
            print(f"scaler-batch-worker: {failure}", file=sys.stderr)  # noqa: T201
    return code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="scaler-batch-worker",
        description="Join a Scaler scheduler as a worker and run its tasks as AWS Batch jobs.",
        epilog=f"Options may also stand in the section [{SECTION}] of a TOML file given by --config; "
        "the command line goes first.",
        argument_default=argparse.SUPPRESS,
    )
    command.add_argument("--version", action="version", version=__version__)
    command.add_argument("--config", metavar="FILE", type=Path, help="TOML file to read options from")

    scheduler = command.add_argument_group("scheduler")
    scheduler.add_argument("--scheduler-address", metavar="tcp://HOST:PORT", help="address of the scheduler (required)")
    scheduler.add_argument("--name", "-n", help="name of this worker (default: aws-batch)")
    scheduler.add_argument(
        "--task-queue-size", metavar="N", type=int, help="tasks the scheduler may keep here at once (default: 1000)"
    )
    scheduler.add_argument(
        "--transport",
        choices=[kind.value for kind in TransportKind],
        help="how the scheduler link travels (default: auto, as the scheduler greets)",
    )

    batch = command.add_argument_group("AWS Batch")
    batch.add_argument("--job-queue", "-q", metavar="NAME", help="job queue (required)")
    batch.add_argument("--job-definition", "-d", metavar="NAME", help="job definition (required)")
    batch.add_argument("--aws-region", metavar="REGION", help="region of all resources (default: us-east-1)")
    batch.add_argument(
        "--max-concurrent-jobs", "-mcj", metavar="N", type=int, help="jobs in flight at once (default: 100)"
    )
    batch.add_argument(
        "--job-timeout-minutes",
        "--job-timeout",
        metavar="MIN",
        type=int,
        help="minutes one attempt of a job may run; overrides the job definition (default: 60)",
    )
    batch.add_argument("--backend", "-b", choices=["batch"], help="AWS HPC backend (default: batch)")

    data = command.add_argument_group("task data")
    data.add_argument("--s3-bucket", metavar="NAME", help="bucket for task data and results (required)")
    data.add_argument("--s3-prefix", metavar="PREFIX", help="key prefix within the bucket (default: scaler-tasks)")
    data.add_argument(
        "--inline-limit",
        metavar="BYTES",
        type=int,
        help=f"largest task data that travels in job parameters; 0 sends all through S3 (default: {INLINE_LIMIT})",
    )

    command.add_argument_group("logging").add_argument(
        "--log-level", choices=LEVELS, type=str.upper, help="least severe messages to show (default: INFO)"
    )
    return command


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and below it the file and the defaults.

    Raises:
        SettingsError: The file cannot be used.
    """
    command = parser()
    given = vars(command.parse_args(argv))
    path = given.pop("config", None)
    known = {action.dest: action for action in command._actions if action.dest not in ("help", "version", "config")}
    defaults = {"log_level": "INFO", "backend": "batch"}
    return argparse.Namespace(**{**defaults, **(_from_file(path, known) if path else {}), **given})


def _from_file(path: Path, known: dict[str, argparse.Action]) -> dict[str, Any]:
    try:
        section = tomllib.loads(path.read_text(encoding="utf-8")).get(SECTION, {})
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    if "job_timeout" in section:
        section["job_timeout_minutes"] = section.pop("job_timeout")
    for name, value in section.items():
        if name not in known:
            raise SettingsError(f"{path}: [{SECTION}] has no option {name!r}; known are {', '.join(sorted(known))}")
        expected = int if known[name].type is int else str
        choices = known[name].choices
        if type(value) is not expected or (choices is not None and value not in choices):
            what = f"one of {', '.join(choices)}" if choices else f"of type {expected.__name__}"
            raise SettingsError(f"{path}: {name} = {value!r} has to be {what}")
    return dict(section)


_REQUIRED: Final = ("scheduler_address", "job_queue", "job_definition", "s3_bucket")


def settings_of(options: argparse.Namespace) -> WorkerSettings:
    """Turn options into settings; what is not given keeps its default.

    Raises:
        SettingsError: Something is missing.
        TasksError: A value is outside what AWS Batch takes.
    """
    given = vars(options)
    missing = [f"--{name.replace('_', '-')}" for name in _REQUIRED if not given.get(name)]
    if missing:
        raise SettingsError(f"missing {', '.join(missing)}; see --help")
    return WorkerSettings(
        scheduler_address=given["scheduler_address"],
        s3_bucket=given["s3_bucket"],
        tasks=_task_settings(given),
        link=LinkSettings(transport=TransportKind(given.get("transport", "auto"))),
        **_chosen(given, s3_prefix="s3_prefix", aws_region="aws_region", name="name", queue_size="task_queue_size"),
    )


def _task_settings(given: dict[str, Any]) -> TaskManagerSettings:
    minutes = {"job_timeout": given["job_timeout_minutes"] * 60} if "job_timeout_minutes" in given else {}
    return TaskManagerSettings(
        job_queue=given["job_queue"],
        job_definition=given["job_definition"],
        **_chosen(given, max_concurrent_jobs="max_concurrent_jobs", inline_limit="inline_limit"),
        **minutes,
    )


def _chosen(given: dict[str, Any], **names: str) -> dict[str, Any]:
    """Those of the named options that were given, under the names of the settings."""
    return {setting: given[option] for setting, option in names.items() if option in given}
