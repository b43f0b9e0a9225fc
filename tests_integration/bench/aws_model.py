"""AWS on paper: how long many tasks take and what they cost, from published limits, prices and counted calls. Pure.

Nobody here has run this on an account. Each resource is used at its limit by itself, all at the same time, so the
slowest of them says how long the whole takes: a lower bound, and the same bound for everyone. Every assumption is a
field below with its source; change one and compute again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.prices import READ, WRITE


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted of AWS and of the work.

    Attributes:
        task_seconds: What one task takes in its container.
        slots: Jobs that run at once: the vCPUs of the compute environment.
        job_start: Seconds from a free slot to the first instruction of a job's command, the image being on the
            instance. People report 10 s and more; 5 is kind to whoever starts many jobs.
        submissions: SubmitJob calls a second. Source: AWS Batch service limits.
        puts: PUT, COPY, POST and DELETE requests a second and prefix. Source: S3's performance guidelines.
        gets: GET and HEAD requests a second and prefix. Source: the same.
        request_seconds: Round trip of a small request to S3 from inside AWS. Source: the same page says 100 to 200 ms;
            30 is kind to whoever makes requests one after another.
        vcpu_hour: Dollars for a vCPU-hour. A round figure near that of current on-demand instances.
        put_price: Dollars for a PUT or LIST. Source: S3's price list, us-east-1.
        get_price: Dollars for a GET. Source: the same.
    """

    task_seconds: float = 1.0
    slots: int = 1000
    job_start: float = 5.0
    submissions: float = 50.0
    puts: float = 3500.0
    gets: float = 5500.0
    request_seconds: float = 0.03
    vcpu_hour: float = 0.05
    put_price: float = WRITE
    get_price: float = READ


@dataclass(frozen=True)
class Approach:
    """How somebody goes about it.

    Attributes:
        name: Who.
        slots: Jobs it keeps in flight at most; no more than :attr:`Assumptions.slots` run.
        tasks_per_job: Tasks that share a job.
        jobs_per_submission: Children of one array, on average.
        puts: PUT and LIST requests a task, of adapter and jobs.
        gets: GET requests a task.
        deletes: DELETE requests a task; they are free, but count against the rate of PUTs.
        in_a_row: Requests a task that the adapter makes one after another, each waiting for the one before.
        adapter_cpu: Seconds of processor time of the adapter a task, which has one core.
        poll: Seconds from a task's end to when the adapter looks, on average.
    """

    name: str
    slots: int
    tasks_per_job: float
    jobs_per_submission: float
    puts: float
    gets: float
    deletes: float
    in_a_row: float
    adapter_cpu: float
    poll: float


@dataclass(frozen=True)
class Forecast:
    """What the model says.

    Attributes:
        name: Who.
        tasks: How many tasks.
        seconds: From the first submission to the last answer, at least.
        bound_by: The resource that takes so long.
        demands: What each resource takes, in seconds.
        requests: Dollars for requests to S3.
        compute: Dollars for vCPUs while jobs start and run.
    """

    name: str
    tasks: int
    seconds: float
    bound_by: str
    requests: float
    compute: float
    demands: Mapping[str, float] = field(default_factory=dict)

    @property
    def dollars(self) -> float:
        """In all."""
        return self.requests + self.compute


def forecast(approach: Approach, tasks: int, given: Assumptions) -> Forecast:
    """Compute time and cost of so many tasks."""
    jobs = math.ceil(tasks / approach.tasks_per_job)
    busy = jobs * given.job_start + tasks * given.task_seconds
    demands = {
        "jobs": busy / min(approach.slots, given.slots),
        "submissions": jobs / approach.jobs_per_submission / given.submissions,
        "writes to S3": tasks * (approach.puts + approach.deletes) / given.puts,
        "reads from S3": tasks * approach.gets / given.gets,
        "requests one after another": tasks * approach.in_a_row * given.request_seconds,
        "adapter's processor": tasks * approach.adapter_cpu,
    }
    slowest = max(demands, key=demands.__getitem__)
    at_least = given.job_start + given.task_seconds + approach.poll
    return Forecast(
        approach.name,
        tasks,
        max(demands[slowest], at_least),
        slowest,
        tasks * (approach.puts * given.put_price + approach.gets * given.get_price),
        busy / 3600 * given.vcpu_hour,
        demands,
    )
