"""What the surroundings allow: the requests that the local AWS answers, and the limits that AWS publishes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import obstore
from obstore.store import S3Store

from bench.sides import SLOTS
from stack import Options, Stack

CALLERS: Final = 4
"""Threads that call at the same time: more do not make two cores faster."""

PUBLISHED: Final = {
    "SubmitJob at AWS Batch, a second": 50.0,
    "PUT, COPY, POST, DELETE at S3, a second and prefix": 3500.0,
    "GET, HEAD at S3, a second and prefix": 5500.0,
}


@dataclass(frozen=True)
class Rate:
    """How many requests of a kind the local AWS answers a second, with the client on the same cores."""

    request: str
    a_second: float


def rates(requests: int) -> list[Rate]:
    """Measure an otherwise idle local AWS."""
    with Stack(Options(SLOTS, local=("--bucket", "limits"))) as stack:
        stack.start_aws()
        store = S3Store(
            "limits",
            endpoint=stack.environment["AWS_ENDPOINT_URL"],
            region=stack.environment["AWS_DEFAULT_REGION"],
            access_key_id=stack.environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=stack.environment["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
        )
        batch = stack.aws("batch")
        try:
            return [
                Rate("PutObject of 1 kB", _rate(lambda number: _put(store, number), requests)),
                Rate("GetObject of 1 kB", _rate(lambda number: _get(store, number), requests)),
                Rate("ListObjectsV2 of 50 keys", _rate(lambda _: _list(store), requests)),
                Rate("DescribeJobs of a job that is not there", _rate(lambda _: _describe(batch), requests)),
            ]
        finally:
            batch.close()


def _rate(request: Callable[[int], object], count: int) -> float:
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(request, range(CALLERS)))
        began = time.perf_counter()
        list(pool.map(request, range(count)))
        return count / (time.perf_counter() - began)


def _put(store: S3Store, number: int) -> None:
    obstore.put(store, f"keys/{number % 50:02}", b"x" * 1000, use_multipart=False)


def _get(store: S3Store, number: int) -> bytes:
    return bytes(obstore.get(store, f"keys/{number % 50:02}").bytes())


def _list(store: S3Store) -> int:
    return len(list(obstore.list(store, "keys", chunk_size=1000)))


def _describe(batch: object) -> object:
    return batch.describe_jobs(jobs=["00000000-0000-4000-8000-000000000000"])  # type: ignore[attr-defined]
