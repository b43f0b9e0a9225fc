"""Every option, once: its names, what it takes, what it means, what holds where nobody gives it.

The command line, the variables ``SCALER_BATCH_…``, the keys of the TOML section, the help and the reference page are
all read from this table. A long flag without dashes is the TOML key, in upper case the variable; further long flags are
further names of the same option, which is how Scaler's own names for it are understood.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

from scaler_batch.adapter.kinds import CAPABILITIES, PATHS, PRIORITY, SHARE, Kind, number, one_of, parsed, text, whole
from scaler_batch.aws.limits import MOST_ATTEMPTS
from scaler_batch.payload.placement import INLINE_LIMIT, MAX_INLINE_LIMIT
from scaler_batch.tasks import LARGEST_BUNDLE, TasksError
from scaler_batch.tasks.leases import NAMES, check_worker_name
from scaler_batch.tasks.renewal import AFTER as RENEW_AFTER
from scaler_batch.tasks.settings import SHORTEST_RENEWAL
from scaler_batch.wire import ADDRESS_FORMS, AddressError, TransportKind, parse

HERE: Final = "{}.{}".format(*sys.version_info)
"""Minor version of the Python that runs this."""

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_ADDRESS: Final = parsed(ADDRESS_FORMS, parse, AddressError)
_FILE: Final = text("the path of a file")
_PREFIX: Final = text(
    "a/b/c: printable, no slash at its ends, nothing between slashes that is empty, '.' or '..'",
    r"(?!.*(^|/)\.{0,2}(/|$)).+|",
)
_NAME: Final = parsed(NAMES, check_worker_name, TasksError)


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        group: Heading in the help.
        flags: Names on the command line; the first one that begins with two dashes is the option's own.
        kind: What it takes.
        help: What it means, in a line.
        default: What holds without it; ``None`` where ``otherwise`` tells.
        otherwise: What happens without it, where that is no value.
        metavar: Stands for the value in the help.
    """

    group: str
    flags: tuple[str, ...]
    kind: Kind
    help: str
    default: Any = None
    otherwise: str = "none"
    metavar: str = "X"

    @property
    def name(self) -> str:
        """The option's own name, as a TOML file has it."""
        return self.names[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a TOML file may have."""
        return tuple(flag[2:].replace("-", "_") for flag in self.flags if flag.startswith("--"))

    @property
    def flag(self) -> str:
        """The option's own flag."""
        return next(flag for flag in self.flags if flag.startswith("--"))

    @property
    def standard(self) -> str:
        """What holds without it, in words."""
        if self.default is None:
            return self.otherwise
        if isinstance(self.default, tuple):
            return ", ".join(self.default)
        return f"{self.default:g}" if isinstance(self.default, float) else f"{self.default}"


SCHEDULER, BATCH, DATA, WORK, STOPPING, LOGS, FILES = (
    "scheduler",
    "AWS Batch",
    "task data",
    "workers",
    "stopping",
    "logs and metrics",
    "where options come from",
)

OPTIONS: Final = (
    Option(SCHEDULER, ("--scheduler-address",), _ADDRESS,
           "address of the scheduler; tls:// and wss:// are encrypted, tcp:// and ws:// are not", otherwise="required",
           metavar="tcp://HOST:PORT"),
    Option(SCHEDULER, ("--object-storage-address", "-osa"), _ADDRESS, "address of the object storage",
           otherwise="what the scheduler says", metavar="tcp://HOST:PORT"),
    Option(SCHEDULER, ("--name", "-n"), _NAME, "name of this worker, shown in the scheduler's monitor; a worker of the "
           "same name ends what this one may leave behind", otherwise="USER@HOST", metavar="NAME"),
    Option(SCHEDULER, ("--task-queue-size", "--per-worker-task-queue-size", "-wtqs"), whole(1, 2**32 - 1),
           "tasks the scheduler may keep here at once; give all workers of a scheduler the same", 1000, metavar="N"),
    Option(SCHEDULER, ("--per-worker-capabilities", "-pwc"), CAPABILITIES,
           "capabilities to announce, besides those that have a table in the file", metavar="linux,cpu=4"),
    Option(SCHEDULER, ("--transport",), one_of(*(kind.value for kind in TransportKind)),
           "how the scheduler link travels; auto: as the scheduler greets", "auto", metavar="auto|zmq|ymq"),
    Option(SCHEDULER, ("--tls-ca",), _FILE, "PEM file of the CAs that may have signed the certificates of scheduler "
           "and object storage, or of those certificates", otherwise="the CAs that the system trusts", metavar="FILE"),
    Option(SCHEDULER, ("--tls-cert", "-tc"), _FILE,
           "PEM file of a client certificate and its chain, where a proxy before the scheduler asks for one",
           metavar="FILE"),
    Option(SCHEDULER, ("--tls-key", "-tk"), _FILE, "PEM file of the private key to --tls-cert, without a passphrase",
           metavar="FILE"),
    Option(SCHEDULER, ("--tls-server-name",), text("a host name or IP address", r"[A-Za-z0-9.:_-]{1,253}"),
           "name that the certificates must bear", otherwise="the host of each address", metavar="NAME"),
    Option(SCHEDULER, ("--heartbeat-interval-seconds", "--heartbeat-interval", "-his"), number(0.1),
           "from one heartbeat to the next", 2.0, metavar="S"),
    Option(SCHEDULER, ("--death-timeout-seconds", "--death-timeout", "-dts"), number(1),
           "give up when the scheduler has not answered for so long", 300.0, metavar="S"),
    Option(BATCH, ("--job-queue", "-q"), text(), "job queue", otherwise="required", metavar="NAME"),
    Option(BATCH, ("--job-definition", "-d"), text(),
           "job definition; NAME:REVISION for a certain revision", otherwise="required", metavar="NAME"),
    Option(BATCH, ("--aws-region",), text("the name of an AWS region", r"[a-z0-9-]{2,32}"),
           "region of queue, definition and bucket; AWS_REGION, AWS_DEFAULT_REGION and the AWS profile come next",
           "us-east-1", metavar="REGION"),
    Option(BATCH, ("--max-concurrent-jobs", "-mcj"), whole(1),
           "jobs in flight at once; the child of an array is one", 100, metavar="N"),
    Option(BATCH, ("--job-timeout-minutes", "--job-timeout"), whole(1, 525600),
           "minutes one attempt of a job may run; goes over the job definition's", 60, metavar="MIN"),
    Option(BATCH, ("--job-attempts",), whole(1, MOST_ATTEMPTS),
           "how often a job may start where its machine is reclaimed or its image cannot be pulled", 3, metavar="N"),
    Option(BATCH, ("--share-identifier",), SHARE,
           "whose share of a fair-share queue the jobs count against; such a queue demands it, others refuse it",
           metavar="NAME"),
    Option(BATCH, ("--scheduling-priority",), PRIORITY, "order of the jobs within their share, higher first",
           otherwise="the job definition's, else 0", metavar="N"),
    Option(BATCH, ("--misconfiguration-patience",), number(),
           "fail a task when AWS Batch has said for this long that no machine of the queue is large enough for its job",
           600.0, metavar="S"),
    Option(BATCH, ("--credentials-patience",), number(),
           "keep tasks and jobs for this long while AWS refuses the credentials, then fail the tasks", 86400.0,
           metavar="S"),
    Option(BATCH, ("--outage-patience",), number(),
           "keep tasks and jobs for this long while S3 or AWS Batch fails, then fail the tasks and end their jobs",
           900.0, metavar="S"),
    Option(BATCH, ("--tasks-per-job",), whole(1, LARGEST_BUNDLE, besides="auto"),
           "how many tasks share a job; auto: by how many wait and how long they take", 1, metavar="N|auto"),
    Option(BATCH, ("--processes",), whole(0, 1024, besides="auto"),
           "how many tasks of a job run side by side; auto: the vCPUs of the job definition; "
           "0: as the container finds", "auto", metavar="N|auto"),
    Option(BATCH, ("--tag-jobs",), one_of("yes", "no"), "tag jobs and their ECS tasks with run, worker and prefix, so "
           "that cost can be told; needs the permission batch:TagResource", "yes", metavar="yes|no"),
    Option(BATCH, ("--backend", "-b"), one_of("batch"), "AWS service that runs the jobs", "batch", metavar="batch"),
    Option(DATA, ("--s3-bucket",), text("the name of a bucket", r"[A-Za-z0-9._-]{3,255}"),
           "bucket for the data of tasks", otherwise="required", metavar="NAME"),
    Option(DATA, ("--s3-prefix",), _PREFIX, "key prefix in the bucket", "scaler-tasks", metavar="PREFIX"),
    Option(DATA, ("--inline-limit",), whole(0, MAX_INLINE_LIMIT),
           "bytes of the largest pack that travels in job parameters; 0 sends all through S3", INLINE_LIMIT,
           metavar="BYTES"),
    Option(DATA, ("--private",), one_of("yes", "no"), "keep all that tasks hold, names of functions too, out of job "
           "parameters and logs; packs then travel through S3 only", "no", metavar="yes|no"),
    Option(DATA, ("--transfers",), whole(1, 1024),
           "objects that are fetched, and results that are stored, at the same time", 16, metavar="N"),
    Option(DATA, ("--renew-after",), number(SHORTEST_RENEWAL),
           "renew data of unfinished tasks in S3 when it is this old, before the bucket's lifecycle removes it; the "
           "default suits every lifecycle, as the shortest is a day", RENEW_AFTER, metavar="S"),
    Option(DATA, ("--payload-key",), text("ssm:/PARAMETER or file:PATH", r"ssm:[A-Za-z0-9_.:/-]{1,2048}|file:.+"),
           "where the key lies that tasks and results are sealed with, 64 hex digits; containers get the same one as a "
           "secret of their job definition", otherwise="keys made for each run, which travel in job parameters",
           metavar="ssm:/PARAMETER|file:PATH"),
    Option(DATA, ("--client-python",), text("a minor version such as 3.12, or any", r"3\.\d{1,2}|any"), "Python of the "
           "clients; a container with another one refuses their tasks; any: do not compare",
           otherwise="that of this worker", metavar="X.Y|any"),
    Option(WORK, ("--mode",), one_of("fixed", "dynamic"), "fixed: the workers are there from start to end; dynamic: "
           "as many as the scheduler's policy asks for", "fixed", metavar="fixed|dynamic"),
    Option(WORK, ("--max-workers", "--max-task-concurrency", "-mtc"), whole(1, 1000),
           "workers of this process, at most with --mode dynamic; they share --max-concurrent-jobs evenly", 1,
           metavar="N"),
    Option(WORK, ("--worker-manager-id", "-wmi"), text("a name of printable characters", r"[!-~]{1,128}"),
           "names this process as worker manager", otherwise="a new one at each start", metavar="NAME"),
    Option(WORK, ("--scale-down-cooldown-seconds", "-sdc"), number(),
           "with --mode dynamic: fewer workers only when so long no more were asked for", 30.0, metavar="S"),
    Option(WORK, ("--event-loop", "-el"), one_of("builtin", "uvloop"),
           "event loop of this process; uvloop comes with scaler-batch-adapter[uvloop]", "builtin",
           metavar="builtin|uvloop"),
    Option(WORK, ("--io-threads", "-it"), whole(1, 64),
           "threads in which ZeroMQ serves a scheduler link; a link over YMQ needs none", 1, metavar="N"),
    Option(STOPPING, ("--on-shutdown",), one_of("drain", "terminate"),
           "at SIGTERM or SIGINT: terminate ends the jobs and gives their tasks back; "
           "drain lets them finish first", "terminate", metavar="drain|terminate"),
    Option(STOPPING, ("--shutdown-deadline",), number(1),
           "how long stopping may take; raise it to drain long tasks", 25.0, metavar="S"),
    Option(LOGS, ("--log-level", "--logging-level", "-ll"), one_of(*LEVELS, fold=str.upper),
           "least severe messages to show", "INFO", metavar="LEVEL"),
    Option(LOGS, ("--log-format", "--logging-format"), one_of("text", "json"),
           "json: an object a line, with run, worker, task and job", "text", metavar="text|json"),
    Option(LOGS, ("--logging-paths", "--log-paths", "-lp"), PATHS,
           "files to log to; /dev/stdout and /dev/stderr are what they say", ("/dev/stderr",), metavar="PATH"),
    Option(LOGS, ("--logging-config-file", "-lcf"), _FILE,
           "file in the format of Python's logging.config; goes over the three options above", metavar="FILE"),
    Option(LOGS, ("--metrics-port",), whole(0, 65535),
           "serve /metrics for Prometheus and /status for the command status; "
           "0 takes a free port and logs it", otherwise="do not", metavar="PORT"),
    Option(LOGS, ("--metrics-host",), text("an address of this machine", r"[0-9A-Za-z:._-]+"),
           "where to listen for them; 0.0.0.0 lets other machines see the figures", "127.0.0.1", metavar="HOST"),
    Option(FILES, ("--config",), _FILE, "TOML file with a section [aws_hpc_worker_adapter]", metavar="FILE"),
    Option(FILES, ("--from-provisioned",), _FILE,
           "file that scaler-batch-provision wrote, the lines for a shell or the JSON", metavar="FILE"),
)  # fmt: skip

REQUIRED: Final = ("scheduler_address", "job_queue", "job_definition", "s3_bucket")

BY_NAME: Final = {option.name: option for option in OPTIONS}

ALIASES: Final = {name: option.name for option in OPTIONS for name in option.names}
"""From every name that a file may use to the option's own."""

FOREIGN: Final = {
    "garbage_collect_interval_seconds": "Python's own collector is left to itself",
    "trim_memory_threshold_bytes": "no code of yours runs in this process",
    "hard_processor_suspend": "jobs are ended, never suspended",
    "task_timeout_seconds": "use job_timeout_minutes",
    "preload": "put what is to be loaded into the container image",
    "worker_scheduler_address": "workers run in this process and use scheduler_address",
    "worker_type": "use name, which is part of the worker's id",
}
"""Options of Scaler's own workers that have no meaning here, and why."""
