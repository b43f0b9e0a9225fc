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

import json
import sys
from enum import IntEnum
from typing import TYPE_CHECKING

from scaler_batch.aws import partition_of
from scaler_batch.provision import adopting, cleaning, provisioning
from scaler_batch.provision import options as option_values
from scaler_batch.provision.access import provisioner_policy, worker_policy
from scaler_batch.provision.atomic import write_text
from scaler_batch.provision.doctor import examine, names_in_file
from scaler_batch.provision.errors import ProvisionError, SettingsError
from scaler_batch.provision.finding import healthy
from scaler_batch.provision.handover import Handover
from scaler_batch.provision.image.source import BuiltImage
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.people import People
from scaler_batch.provision.programs import Programs
from scaler_batch.provision.resources.account import find_account
from scaler_batch.provision.resources.clients import Clients, open_session, translated
from scaler_batch.provision.settings import DEFAULT_PREFIX, DEFAULT_REGION, Target, architecture_named, check_kms_key
from scaler_batch.provision.templates import cloudformation, terraform
from scaler_batch.provision.vocabulary import Kind
from scaler_batch.provision.why import explain

if TYPE_CHECKING:
    import argparse
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
    options = option_values.build_parser().parse_args(argv)
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


def _report(options: argparse.Namespace) -> People | Programs:
    if options.json:
        return Programs(sys.stdout)
    ask = not options.yes and sys.stdin.isatty() and sys.stderr.isatty()
    return People(sys.stdout, sys.stderr, ask=ask)


def _image(options: argparse.Namespace, report: People | Programs) -> BuiltImage | None:
    """The image to build, where none is named."""
    return None if options.image else _built(options, report)


def _built(options: argparse.Namespace, report: People | Programs) -> BuiltImage:
    architecture = architecture_named(options.platform)
    return BuiltImage.of(
        options.wheels,
        options.python,
        report.progress,
        architecture=architecture,
        hashes=options.hashes,
        from_index=options.from_index,
        base=options.base_image,
    )


def _build_image(options: argparse.Namespace, report: People | Programs) -> Exit:
    target = option_values.target(options)
    image = _built(options, report)
    built = provisioning.build_image(
        target,
        open_session(options.profile),
        image,
        tags=options.tags,
        endpoint_url=options.endpoint_url,
        files=option_values.files(options),
        audience=report,
    )
    report.built(built)
    return Exit.DONE


def _provision(options: argparse.Namespace, report: People | Programs) -> Exit:
    if options.dry_run:
        return _plan(options, report)
    settings = option_values.settings(options)
    made = provisioning.provision(
        settings,
        open_session(options.profile),
        image=_image(options, report),
        endpoint_url=options.endpoint_url,
        files=option_values.files(options),
        audience=report,
    )
    report.provisioned(made, str(options.env_file))
    return Exit.DONE


def _plan(options: argparse.Namespace, report: People | Programs) -> Exit:
    settings, files = option_values.settings(options), option_values.files(options)
    session = open_session(options.profile)
    image, endpoint_url = _image(options, report), options.endpoint_url
    report.plan(provisioning.plan_provision(settings, session, image=image, endpoint_url=endpoint_url, files=files))
    return Exit.DONE


def _show(options: argparse.Namespace, report: People | Programs) -> Exit:
    target = option_values.target(options)
    report.inventory(provisioning.show(target, open_session(options.profile), endpoint_url=options.endpoint_url))
    return Exit.DONE


def _cleanup(options: argparse.Namespace, report: People | Programs) -> Exit:
    target, files = option_values.target(options), option_values.files(options)
    session, endpoint_url = open_session(options.profile), options.endpoint_url
    if options.dry_run:
        report.removal(cleaning.plan_cleanup(target, session, endpoint_url=endpoint_url, files=files))
        return Exit.DONE
    result = cleaning.cleanup(target, session, endpoint_url=endpoint_url, files=files, audience=report)
    report.cleaned(result)
    return Exit.DONE if result.complete else Exit.FAILED


def _adopt(options: argparse.Namespace, report: People | Programs) -> Exit:
    target, files = option_values.target(options), option_values.files(options)
    session, endpoint_url = open_session(options.profile), options.endpoint_url
    if options.dry_run:
        report.adoption(adopting.plan_adoption(target, session, files, endpoint_url=endpoint_url))
        return Exit.DONE
    if not (options.yes or report.asks):
        raise SettingsError(
            "adopt takes nothing over unless somebody has agreed to it",
            fix="look with --dry-run at what it would take over, then pass --yes",
        )
    report.adopted(adopting.adopt(target, session, files, endpoint_url=endpoint_url, audience=report))
    return Exit.DONE


def _doctor(options: argparse.Namespace, report: People | Programs) -> Exit:
    patient = option_values.patient(options)
    findings = report.findings(examine(patient, lambda: open_session(options.profile)))
    return Exit.DONE if healthy(findings) else Exit.FAILED


def _why(options: argparse.Namespace, report: People | Programs) -> Exit:
    patient = option_values.patient(options)
    report.explanation(explain(options.job, patient, lambda: open_session(options.profile)))
    return Exit.DONE


def _policy(options: argparse.Namespace, report: People | Programs) -> Exit:
    if options.kms_key is not None:
        check_kms_key(options.kms_key)
    patient = option_values.patient(options)
    handed = names_in_file(patient) if options.whose == "worker" else None
    region = handed.region if handed else patient.region or DEFAULT_REGION
    names = Names(Target(prefix=patient.prefix or DEFAULT_PREFIX, region=region), _account(options, region))
    if options.whose == "worker":
        document = worker_policy(
            handed or Handover.of(names, payload_key=options.payload_key),
            names.account,
            task_prefix=options.s3_prefix,
            log_group=options.log_group or names.of(Kind.LOG_GROUP),
            kms_key=options.kms_key,
        )
    else:
        document = provisioner_policy(
            names,
            boundary=options.permissions_boundary,
            payload_key=options.payload_key,
            kms_key=options.kms_key,
        )
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return Exit.DONE


def _account(options: argparse.Namespace, region: str) -> Account:
    """The account that was named, else that of the credentials."""
    if options.account:
        return Account(options.account, partition_of(region))
    with translated("find out whose credentials these are"):
        clients = Clients.of(open_session(options.profile), region, options.endpoint_url)
        return find_account(clients.sts)


def _template(options: argparse.Namespace, report: People | Programs) -> Exit:
    settings = option_values.settings(options)
    write = {"cloudformation": cloudformation.template, "terraform": terraform.configuration}[options.format]
    text = json.dumps(write(settings, partition_of(settings.region)), indent=2) + "\n"
    if options.output:
        write_text(options.output, text)
    else:
        sys.stdout.write(text)
    return Exit.DONE


_COMMANDS = {
    "provision": _provision,
    "plan": _plan,
    "build-image": _build_image,
    "show": _show,
    "adopt": _adopt,
    "cleanup": _cleanup,
    "template": _template,
    "doctor": _doctor,
    "why": _why,
    "policy": _policy,
}

if __name__ == "__main__":
    sys.exit(main())
