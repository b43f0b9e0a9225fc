"""The command line: reads options, calls the function of the command, says how it ended.

Exit codes:

====  ==================================================================================
0     done, or nothing was to be done
1     something failed, or a cleanup left something behind; the message names the fix
2     the command line asks for something that cannot be
130   interrupted; the same command goes on from there
====  ==================================================================================
"""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scaler_batch.provision import provisioning
from scaler_batch.provision.errors import ProvisionError, SettingsError
from scaler_batch.provision.release import VERSION
from scaler_batch.provision.report import People, Programs
from scaler_batch.provision.resources.clients import open_session
from scaler_batch.provision.settings import (
    DEFAULT_CONFIG,
    DEFAULT_ENV,
    DEFAULT_INSTANCE_TYPES,
    DEFAULT_PREFIX,
    DEFAULT_REGION,
    Files,
    Settings,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exit(IntEnum):
    """How the command ended; see the table above."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        The exit code, see the table above.
    """
    options = build_parser().parse_args(argv)
    report = _report(options)
    try:
        return int(_COMMANDS[options.command](options, report))
    except SettingsError as error:
        report.error(error)
        return Exit.USAGE
    except ProvisionError as error:
        report.error(error)
        return Exit.FAILED
    except KeyboardInterrupt:
        report.interrupted()
        return Exit.INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="scaler-batch-provision",
        description="Create, show and remove the AWS resources that scaler-batch runs on.",
        epilog="Exit codes: 0 done; 1 failed, or a cleanup left something; 2 wrong options; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    where, what = _where(), _what()
    for name, parents, text in (
        ("provision", [where, what], "make what is missing, change what differs; safe to run again"),
        ("plan", [where, what], "say what provision would do; change nothing"),
        ("show", [where], "list the resources that are there; change nothing"),
        ("cleanup", [where], "remove everything made for the prefix, and the two local files"),
    ):
        commands.add_parser(name, parents=parents, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return parser


def _where() -> argparse.ArgumentParser:
    """Options that every command takes."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--region", default=DEFAULT_REGION, help="AWS region (default: %(default)s)")
    add("--prefix", default=DEFAULT_PREFIX, help="begins the name of every resource (default: %(default)s)")
    add("--profile", help="profile of the AWS configuration that brings the credentials")
    add("--endpoint-url", metavar="URL", help="send all calls there instead of to AWS")
    add(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="PATH",
        help="JSON file with all resources (default: %(default)s)",
    )
    add(
        "--env-file",
        type=Path,
        default=DEFAULT_ENV,
        metavar="PATH",
        help="shell file for the worker adapter (default: %(default)s)",
    )
    add("--yes", "-y", action="store_true", help="do not ask; without a terminal nothing is asked in any case")
    add("--json", action="store_true", help="say the result as one JSON document; implies --yes")
    return parser


def _what() -> argparse.ArgumentParser:
    """Options that say what is wanted."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--image", metavar="URI", help="container image of the runner; required, since this version builds none")
    add("--vcpus", type=int, default=1, metavar="N", help="vCPUs per job (default: %(default)s)")
    add(
        "--memory",
        type=int,
        default=2048,
        metavar="MB",
        help="memory per job in MB, rounded to the nearest multiple of 2048, of which 90%% goes to the container "
        "(default: %(default)s)",
    )
    add(
        "--max-vcpus",
        type=int,
        default=256,
        metavar="N",
        help="most vCPUs of the compute environment (default: %(default)s)",
    )
    add(
        "--instance-types",
        type=_comma_separated,
        default=DEFAULT_INSTANCE_TYPES,
        metavar="TYPES",
        help=f"EC2 instance types, comma-separated (default: {','.join(DEFAULT_INSTANCE_TYPES)})",
    )
    add(
        "--job-timeout",
        type=int,
        default=60,
        metavar="MINUTES",
        help="minutes after which a job is stopped, unless the worker says otherwise (default: %(default)s)",
    )
    return parser


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _report(options: argparse.Namespace) -> People | Programs:
    if options.json:
        return Programs(sys.stdout)
    ask = not options.yes and sys.stdin.isatty() and sys.stderr.isatty()
    return People(sys.stdout, sys.stderr, ask=ask)


def _target(options: argparse.Namespace) -> Target:
    return Target(prefix=options.prefix, region=options.region)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        image=options.image or "",
        prefix=options.prefix,
        region=options.region,
        vcpus=options.vcpus,
        memory_mb=options.memory,
        max_vcpus=options.max_vcpus,
        instance_types=options.instance_types,
        job_timeout_minutes=options.job_timeout,
    )


def _files(options: argparse.Namespace) -> Files:
    return Files(config=options.config, env=options.env_file)


def _provision(options: argparse.Namespace, report: People | Programs) -> Exit:
    settings = _settings(options)
    made = provisioning.provision(
        settings,
        open_session(options.profile),
        endpoint_url=options.endpoint_url,
        files=_files(options),
        audience=report,
    )
    report.provisioned(made, str(options.env_file))
    return Exit.DONE


def _plan(options: argparse.Namespace, report: People | Programs) -> Exit:
    settings = _settings(options)
    session = open_session(options.profile)
    report.plan(
        provisioning.plan_provision(settings, session, endpoint_url=options.endpoint_url, files=_files(options))
    )
    return Exit.DONE


def _show(options: argparse.Namespace, report: People | Programs) -> Exit:
    target = _target(options)
    report.inventory(provisioning.show(target, open_session(options.profile), endpoint_url=options.endpoint_url))
    return Exit.DONE


def _cleanup(options: argparse.Namespace, report: People | Programs) -> Exit:
    target = _target(options)
    result = provisioning.cleanup(
        target,
        open_session(options.profile),
        endpoint_url=options.endpoint_url,
        files=_files(options),
        audience=report,
    )
    report.cleaned(result)
    return Exit.DONE if result.complete else Exit.FAILED


_COMMANDS = {"provision": _provision, "plan": _plan, "show": _show, "cleanup": _cleanup}

if __name__ == "__main__":
    sys.exit(main())
