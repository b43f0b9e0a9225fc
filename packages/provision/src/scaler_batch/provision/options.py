"""The options of the command line, and what they come to as settings. Reads nothing else and calls nobody."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scaler_batch.provision.description import TASK_PREFIX
from scaler_batch.provision.doctor import Patient
from scaler_batch.provision.image.wheels import DEFAULT_PYTHON, DEFAULT_WHEELS, HASHES
from scaler_batch.provision.instance_types import GPU_TYPES, Architecture
from scaler_batch.provision.release import VERSION
from scaler_batch.provision.settings import (
    DEFAULT_CONFIG,
    DEFAULT_ENV,
    DEFAULT_PLATFORM,
    DEFAULT_PREFIX,
    DEFAULT_REGION,
    Files,
    Settings,
    Target,
    architecture_named,
)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="scaler-batch-provision",
        description="Create, show and remove the AWS resources that scaler-batch runs on.",
        epilog="Exit codes: 0 done; 1 failed, or a cleanup left something; 2 wrong options; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    where, what, act, build = _where(), _what(), _act(), _build()
    for name, parents, text in (
        (
            "provision",
            [where, what, build, act],
            "make what is missing, change what differs; safe to run again",
        ),
        ("plan", [where, what, build], "say what provision would do; change nothing"),
        ("build-image", [where, build, _tags()], "build the image, and push it to ECR; print its URI"),
        ("show", [where], "list the resources that are there; change nothing"),
        ("adopt", [where, act], "take over what is there for the prefix and not in the JSON file; asks first"),
        ("cleanup", [where, act], "remove everything made for the prefix, and the two local files"),
    ):
        commands.add_parser(name, parents=parents, help=text, description=f"{text[0].upper()}{text[1:]}.")
    template = commands.add_parser(
        "template",
        parents=[_names(), what, _platform()],
        help="write the same resources as a template of CloudFormation or Terraform; asks AWS nothing",
        description="Write the same resources as a template of CloudFormation or Terraform; asks AWS nothing.",
    )
    template.add_argument("--format", required=True, choices=("cloudformation", "terraform"), help="whose template")
    template.add_argument("--output", type=Path, metavar="PATH", help="write it there (default: standard output)")
    template.set_defaults(json=False, yes=True)
    _add_looking(commands)
    return parser


def _add_looking(commands: Any) -> None:
    """Add the commands that look at whatever the worker was told to use, and need not have made it."""
    there = _there()
    doctor = commands.add_parser(
        "doctor",
        parents=[there],
        help="look whether everything is there, in order and allowed; say what to do where it is not",
        description="Look whether everything is there, in order and allowed; say what to do where it is not.",
    )
    doctor.add_argument("--python", metavar="VERSION", help="Python of your clients (default: this one)")
    doctor.add_argument(
        "--share-identifier", metavar="NAME", help="the worker's, to compare with what the queue demands"
    )
    doctor.add_argument("--scheduler", metavar="ADDRESS", help="look for the scheduler at tcp://HOST:PORT as well")
    doctor.add_argument(
        "--s3-prefix", default=TASK_PREFIX, metavar="PREFIX", help="key prefix of the worker (default: %(default)s)"
    )
    why = commands.add_parser(
        "why",
        parents=[there],
        help="say what a job waits for, or died of",
        description="Say what a job waits for, or died of, with the end of its log.",
    )
    why.add_argument("job", metavar="JOB", help="id of the job, or of an array of jobs")
    _add_policy(commands, there)


def _add_policy(commands: Any, there: argparse.ArgumentParser) -> None:
    policy = commands.add_parser(
        "policy",
        parents=[there, _boundary(), _payload_key()],
        help="print what the identity of a worker, or of whoever provisions, must be allowed",
        description="Print an IAM policy: what the identity of a worker, or of whoever provisions, must be allowed.",
    )
    policy.add_argument("whose", choices=("worker", "provisioner"), help="whose identity")
    policy.add_argument("--account", metavar="NUMBER", help="number of the account (default: that of your credentials)")
    policy.add_argument(
        "--s3-prefix", default=TASK_PREFIX, metavar="PREFIX", help="key prefix of the worker (default: %(default)s)"
    )
    policy.add_argument("--log-group", metavar="NAME", help="log group of the jobs (default: that of the prefix)")


def patient(options: argparse.Namespace) -> Patient:
    """What is to be examined."""
    return Patient(
        env=options.env_file,
        prefix=options.prefix,
        region=options.region,
        scheduler=getattr(options, "scheduler", None),
        task_prefix=getattr(options, "s3_prefix", TASK_PREFIX),
        python=getattr(options, "python", None),
        share=getattr(options, "share_identifier", None),
        endpoint_url=options.endpoint_url,
    )


def target(options: argparse.Namespace) -> Target:
    """Which set of resources."""
    return Target(prefix=options.prefix, region=options.region)


def settings(options: argparse.Namespace) -> Settings:
    """What is wanted."""
    return Settings(
        image=options.image,
        prefix=options.prefix,
        region=options.region,
        vcpus=options.vcpus,
        memory_mb=options.memory,
        max_vcpus=options.max_vcpus,
        instance_types=_instance_types(options),
        job_timeout_minutes=options.job_timeout,
        spot=options.spot,
        tags=options.tags,
        subnets=options.subnets,
        security_groups=options.security_groups,
        vpc=options.vpc,
        platform=options.platform,
        expire_days=options.expire_days,
        permissions_boundary=options.permissions_boundary,
        keep_minutes=options.keep_instances,
        gpus=options.gpus,
        spot_then_ec2=options.spot_then_ec2,
        fair_share=options.fair_share,
        payload_key=options.payload_key,
        kms_key=options.kms_key,
    )


def _instance_types(options: argparse.Namespace) -> tuple[str, ...]:
    """Those that were named, else AWS Batch's own choice for the platform, or common ones with GPUs."""
    chosen: tuple[str, ...] | None = options.instance_types
    if chosen is not None:
        return chosen
    return GPU_TYPES if options.gpus else architecture_named(options.platform).default_types


def files(options: argparse.Namespace) -> Files:
    """Where the two files lie."""
    return Files(config=options.config, env=options.env_file)


def _names() -> argparse.ArgumentParser:
    """Options that say which set of resources."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--region", default=DEFAULT_REGION, help="AWS region (default: %(default)s)")
    add("--prefix", default=DEFAULT_PREFIX, help="begins the name of every resource (default: %(default)s)")
    return parser


def _where() -> argparse.ArgumentParser:
    """Options of all commands about what was or is to be made."""
    parser = argparse.ArgumentParser(add_help=False, parents=[_names()])
    add = parser.add_argument
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


def _there() -> argparse.ArgumentParser:
    """Options of commands that look at what the env file names, or at what was made for a prefix."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--region", help=f"AWS region (default: that of the env file, or {DEFAULT_REGION})")
    add("--prefix", help=f"look at what was made for it (default: at what the env file names, or {DEFAULT_PREFIX})")
    add("--profile", help="profile of the AWS configuration that brings the credentials")
    add("--endpoint-url", metavar="URL", help="send all calls there instead of to AWS")
    add(
        "--env-file",
        type=Path,
        default=DEFAULT_ENV,
        metavar="PATH",
        help="shell file of the worker adapter (default: %(default)s)",
    )
    add("--json", action="store_true", help="say the result as one JSON document")
    parser.set_defaults(yes=True)
    return parser


def _act() -> argparse.ArgumentParser:
    """Options of commands that change something."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    return parser


def _what() -> argparse.ArgumentParser:
    """Options that say what is wanted."""
    parser = argparse.ArgumentParser(
        add_help=False, parents=[_tags(), _capacity(), _network(), _boundary(), _payload_key()]
    )
    add = parser.add_argument
    add("--image", metavar="URI", help="container image of the runner (default: one is built and pushed to ECR)")
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
        "--job-timeout",
        type=int,
        default=60,
        metavar="MINUTES",
        help="minutes after which a job is stopped, unless the worker says otherwise (default: %(default)s)",
    )
    add(
        "--expire-days",
        type=int,
        default=1,
        metavar="N",
        help="days after which S3 removes data of tasks that nobody removed, rounded up to midnight UTC: 1 means one "
        "to two days (default: %(default)s)",
    )
    return parser


def _capacity() -> argparse.ArgumentParser:
    """Options that say which machines there are, and who gets them."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
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
        metavar="TYPES",
        help="EC2 instance types, comma-separated (default: default_x86_64, with --platform linux/arm64 default_arm64)",
    )
    add(
        "--gpus",
        type=int,
        default=0,
        metavar="N",
        help=f"GPUs per job; without --instance-types these are then {','.join(GPU_TYPES)} (default: %(default)s)",
    )
    add(
        "--keep-instances",
        type=int,
        default=0,
        metavar="MINUTES",
        help="keep idle instances for 20 minutes to a week, which bill meanwhile (default: let them go soon)",
    )
    add("--spot", action="store_true", help="run jobs on Spot capacity, which AWS may take back at any time")
    add(
        "--spot-then-ec2",
        action="store_true",
        help="run jobs on Spot capacity, and on on-demand capacity when AWS has none; each grows to --max-vcpus",
    )
    add(
        "--fair-share",
        action="store_true",
        help="make a queue that is shared out evenly; each worker then has to say --share-identifier",
    )
    return parser


def _network() -> argparse.ArgumentParser:
    """Options that say where instances go."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--vpc", metavar="ID", help="VPC that instances go into (default: the region's default VPC)")
    add(
        "--subnets",
        type=_comma_separated,
        default=(),
        metavar="IDS",
        help="subnets that instances go into, comma-separated (default: those of the VPC that lead out, in zones that "
        "have the instance types)",
    )
    add(
        "--security-groups",
        type=_comma_separated,
        default=(),
        metavar="IDS",
        help="security groups of instances, comma-separated (default: one is made that lets everything out and "
        "nothing in)",
    )
    return parser


def _boundary() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--permissions-boundary",
        metavar="ARN",
        help="policy beyond which none of the roles that are made may do anything (default: no boundary)",
    )
    return parser


def _payload_key() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--payload-key",
        action="store_true",
        help="have a key that seals tasks and results, kept in an encrypted parameter that only workers and jobs read "
        "(default: none)",
    )
    parser.add_argument(
        "--kms-key", metavar="ARN", help="key of KMS that encrypts that parameter (default: AWS's own for parameters)"
    )
    return parser


def _tags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--tags",
        type=_pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="tags that every resource bears beside ours, comma-separated",
    )
    return parser


def _platform() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--platform",
        choices=[one.platform for one in Architecture],
        default=DEFAULT_PLATFORM,
        help="what the image is for, be it built or named with --image (default: %(default)s)",
    )
    return parser


def _build() -> argparse.ArgumentParser:
    """Options for building the image."""
    parser = argparse.ArgumentParser(add_help=False, parents=[_platform()])
    add = parser.add_argument
    add(
        "--python",
        default=DEFAULT_PYTHON,
        metavar="VERSION",
        help="Python of the image that is built: the one that your clients run (default: %(default)s)",
    )
    add(
        "--wheels",
        type=Path,
        metavar="FOLDER",
        help=f"folder with the wheels of runner and payload (default: {DEFAULT_WHEELS})",
    )
    add(
        "--hashes",
        type=Path,
        metavar="FILE",
        help=f"list of these wheels and their SHA-256, as sha256sum writes it (default: {HASHES} in the folder)",
    )
    add(
        "--from-index",
        action="store_true",
        help="fetch the wheels that --hashes names from pip's index (default: no index is asked for them)",
    )
    add(
        "--base-image",
        metavar="NAME@sha256:DIGEST",
        help="what the image is made from, which must have that Python (default: Docker's own image of it)",
    )
    return parser


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(text: str) -> dict[str, str]:
    """Read ``a=1,b=2``; raises where a part has no equals sign."""
    split = [part.partition("=") for part in _comma_separated(text)]
    if bad := [key for key, equals, _ in split if not (key and equals)]:
        raise argparse.ArgumentTypeError(f"not KEY=VALUE: {', '.join(map(repr, bad))}")
    return {key.strip(): value.strip() for key, _, value in split}
