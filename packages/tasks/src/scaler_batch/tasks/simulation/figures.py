"""How AWS behaves in a simulation: start times, rates, capacity, failures and prices, each with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cloud:
    """What AWS is like.

    Attributes:
        slots: Jobs that run at once at most: the compute environment's vCPUs.
        warm: Slots that are there from the beginning.
        machine: Slots of one instance.
        start: Seconds from a free slot to the first instruction of a job's command, the image being on the instance.
            Source: Netflix/metaflow-service#7, 13.7 s on a warm instance.
        runner: Seconds that a job takes besides: the runner's interpreter, reading the pack, publishing. 0 where
            ``start`` has them in it, which was measured to the first line of a program.
        boot: Least and most seconds until an instance that was started takes jobs. Source: aws-parallelcluster,
            baseline/statistics.json.
        pull: Seconds that an instance takes to fetch the image, once. Assumed: a gigabyte at 100 MB/s.
        keep: Seconds that an instance without jobs is kept. Assumed.
        submits: SubmitJob calls a second. Source: AWS Batch service limits.
        batch_seconds: What a call to AWS Batch takes. Assumed.
        s3_seconds: What a small request to S3 takes. Source: AWS whitepaper, tens of milliseconds.
        reclaims: Spot reclaims of a slot an hour.
        failures: Part of all jobs that end without an outcome.
        slot_hour: Dollars for a slot and hour. A round figure near that of current on-demand instances.
        write: Dollars for a PUT or LIST of S3. Source: its price list, us-east-1.
        read: Dollars for a GET. Source: the same.
    """

    slots: int = 1000
    warm: int = 1000
    machine: int = 16
    start: float = 13.7
    runner: float = 0.0
    boot: tuple[float, float] = (149.0, 329.0)
    pull: float = 10.0
    keep: float = 600.0
    submits: float = 50.0
    batch_seconds: float = 0.05
    s3_seconds: float = 0.03
    reclaims: float = 0.0
    failures: float = 0.0
    slot_hour: float = 0.05
    write: float = 0.005 / 1000
    read: float = 0.0004 / 1000
