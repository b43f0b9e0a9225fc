"""The command line: ``scaler-batch-local up|env|status|reset|down``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from . import __version__, control, state
from .accounts import ACCOUNTS
from .batch.vocabulary import State
from .environment import as_exports
from .errors import LocalError, NotRunningError, StartError
from .resources import USUAL, Wanted, make
from .server import LocalServer, leave, serving, signals_held_back, wait_to_stop
from .settings import JobMode, LocalSettings
from .timing import LIKENESSES

NOT_RUNNING = 3
_STOP_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it did what was asked, 3 when ``status`` or ``reset`` finds no server, 1 for other failures.
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except NotRunningError as error:
        _tell(error)
        return NOT_RUNNING
    except LocalError as error:
        _tell(error)
        return 1


def up(options: argparse.Namespace) -> int:
    """Run a local AWS in the foreground until it is told to stop."""
    settings = _settings(options)
    named = Wanted(options.bucket, options.queue, options.definition)
    wanted = named if options.bare else named.over(USUAL)
    with signals_held_back(), state.claimed(options.state_dir) as file, serving(settings) as server:
        _furnish(server, wanted, server.environment)
        server.begin_faults()
        variables = {**server.environment, **wanted.variables(settings.region)}
        with _env_file(options.env_file, as_exports(variables)):
            file.write(state.Running(os.getpid(), server.endpoint_url, variables))
            sys.stdout.write(as_exports(variables))
            sys.stdout.flush()
            _tell("ready; Ctrl-C or `scaler-batch-local down` stops it")
            wait_to_stop()
    leave(0)


def _furnish(server: LocalServer, wanted: Wanted, environment: Mapping[str, str]) -> None:
    """Have the resources made, now and after every reset."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        server.furnish(lambda: make(wanted, environment))
    except (BotoCoreError, ClientError) as error:
        raise StartError(f"bucket, queue and definition cannot be made: {error}") from error


def down(options: argparse.Namespace) -> int:
    """Stop the local AWS of a state directory, and wait until it has gone."""
    try:
        running = state.read(options.state_dir)
    except NotRunningError as error:
        _tell(error)
        return 0
    state.stop(options.state_dir, running)
    if state.wait_until_free(options.state_dir, _STOP_SECONDS):
        return 0
    _tell(f"process {running.pid} has not stopped")
    return 1


def status(options: argparse.Namespace) -> int:
    """Say where the local AWS of a state directory is."""
    running = state.read(options.state_dir)
    counted = control.counters(running.variables).total
    calls = "1 call" if counted == 1 else f"{counted} calls"
    said = f"running: {running.endpoint_url}, process {running.pid}, {calls}\n"
    sys.stdout.write(said + as_exports(running.variables))
    return 0


def env(options: argparse.Namespace) -> int:
    """Print the environment to use: eval "$(scaler-batch-local env)"."""
    sys.stdout.write(as_exports(state.read(options.state_dir).variables))
    return 0


def reset(options: argparse.Namespace) -> int:
    """End every job of the local AWS of a state directory, and have it as it was at its start."""
    control.reset(state.read(options.state_dir).variables)
    return 0


@contextlib.contextmanager
def _env_file(path: Path | None, content: str) -> Iterator[None]:
    """A file that shells can read, there for as long as what it describes, and never there by half."""
    if path is None:
        yield
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "x", opener=_for_the_user_alone) as file:
            file.write(content)
        unfinished.replace(path)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _for_the_user_alone(path: str, flags: int) -> int:
    """Open a file that holds keys."""
    return os.open(path, flags, 0o600)


def _settings(options: argparse.Namespace) -> LocalSettings:
    return LocalSettings(
        host=options.host,
        port=options.port,
        accept_hosts=tuple(options.accept_host),
        region=options.region,
        slots=options.slots,
        memory_mib=options.memory,
        jobs=options.jobs,
        job_python=options.job_python,
        delays=dict(options.delay),
        minimum_timeout=options.minimum_timeout,
        stop_grace=options.stop_grace,
        keep_finished=options.keep_finished,
        keep_seconds=options.keep_seconds,
        limit_memory=options.limit_memory,
        submit_rate=options.submit_rate,
        faults=options.faults,
        like=options.like,
        time_scale=options.time_scale,
        account=options.account,
        enforce_iam=options.enforce_iam,
        allow_privileged=options.allow_privileged,
    )


def _delay(text: str) -> tuple[str, float]:
    """``STATE=SECONDS``."""
    name, _, seconds = text.partition("=")
    if name not in State.__members__:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(State)}")
    return name, float(seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scaler-batch-local", description="AWS Batch, S3 and what surrounds them on this machine."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in (up, env, status, reset, down):
        command = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        command.set_defaults(command=run)
        command.add_argument(
            "--state-dir",
            type=Path,
            default=state.default_directory(),
            metavar="DIR",
            help="where a server leaves word of itself; one runs per directory (default: %(default)s)",
        )
        if run is up:
            _add_settings(command)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    default = LocalSettings()
    add = parser.add_argument
    add("--host", default=default.host, help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=default.port, metavar="N", help="port; 0 for a free one (default: %(default)s)")
    named = "name besides localhost that requests may be addressed to, such as *.example.org; may be given for several"
    add("--accept-host", action="append", default=[], metavar="NAME", help=named)
    add("--region", default=default.region, help="region that the environment names (default: %(default)s)")
    add("--slots", type=int, metavar="N", help="job processes at once (default: the number of CPUs, at least 2)")
    add("--memory", type=int, metavar="MIB", help="memory that running jobs may reserve together (default: no bound)")
    add("--jobs", choices=get_args(JobMode), default=default.jobs, help="how jobs are run (default: %(default)s)")
    add("--job-python", metavar="PATH", help="the interpreter that jobs find as python (default: this one)")
    lasting = "least time of a job in a state, such as RUNNABLE=2; may be given for several"
    add("--delay", type=_delay, action="append", default=[], metavar="STATE=SECONDS", help=lasting)
    shortest = "shortest job timeout to accept, seconds (default: %(default)s, as on AWS)"
    add("--minimum-timeout", type=int, default=default.minimum_timeout, metavar="S", help=shortest)
    grace = "seconds from SIGTERM to SIGKILL (default: %(default)s, as on AWS)"
    add("--stop-grace", type=float, default=default.stop_grace, metavar="S", help=grace)
    kept = "finished jobs to remember (default: %(default)s)"
    add("--keep-finished", type=int, default=default.keep_finished, metavar="N", help=kept)
    add("--keep-seconds", type=float, metavar="S", help="seconds to remember a finished job (default: no bound)")
    memory = "kill jobs that have more memory than they asked for (default: yes)"
    add("--limit-memory", action=argparse.BooleanOptionalAction, default=default.limit_memory, help=memory)
    rate = "throttle SubmitJob above so many a second, 50 on AWS (default: no bound)"
    add("--submit-rate", type=float, metavar="N", help=rate)
    like = "take as long as AWS, on instances that are there or that come when jobs wait (default: no delays)"
    add("--like", choices=LIKENESSES, help=like)
    scale = "multiply all times of --like, and divide its rates (default: %(default)s)"
    add("--time-scale", type=float, default=default.time_scale, metavar="X", help=scale)
    account = "networks of the account: with a default VPC, or as hardened accounts have them (default: %(default)s)"
    add("--account", choices=ACCOUNTS, default=default.account, help=account)
    add("--enforce-iam", action="store_true", help="refuse what the policies of users and roles do not allow")
    privileged = (
        "with --jobs docker, run containers that ask to be privileged: each is root on this machine (default: refuse)"
    )
    add("--allow-privileged", action="store_true", help=privileged)
    add("--faults", metavar="FILE", help="a TOML file of faults that are in force from the start")
    add("--bucket", metavar="NAME", help=f"name of the S3 bucket that is made (default: {USUAL.bucket})")
    queue = f"name of the job queue that is made, and of its compute environment (default: {USUAL.queue})"
    add("--queue", metavar="NAME", help=queue)
    definition = f"name of the job definition that is made, with the runner's command (default: {USUAL.definition})"
    add("--definition", metavar="NAME", help=definition)
    add("--bare", action="store_true", help="make none of these but those that are named")
    add("--env-file", type=Path, metavar="PATH", help="write the environment to use there while the server runs")


def _tell(what: object) -> None:
    """Say something that is not for programs to read."""
    sys.stderr.write(f"scaler-batch-local: {what}\n")
