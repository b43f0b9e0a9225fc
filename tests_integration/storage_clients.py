"""The S3 clients that are compared, and what is measured of each in a process of its own.

Every function here that measures is called in a fresh process by :mod:`storage_costs`, so libraries are imported where
they are used: what one of them leaves in memory must not be there when another is measured.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from plain_s3 import LISTED

LIBRARIES: Final = ("obstore", "obstore async", "boto3")
"""The second is obstore as an event loop uses it, with :data:`AT_ONCE` requests under way."""

PATIENT: Final = "obstore, patient"
"""obstore with other retries than its own ten; for what fails only."""

AT_ONCE: Final = 8
CALLERS: Final = 40
LARGE: Final = 100_000_000
REGION: Final = "us-east-1"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

Request = Callable[[str, str, Any], Any]
"""Makes a request: its verb, a key, and what goes with it. From an event loop's library it is to be awaited."""


class Work(NamedTuple):
    """A request that is measured.

    Attributes:
        name: As the table says it.
        verb: What is asked.
        size: Bytes of the object, if one is transferred.
        repeats: Requests a process makes.
    """

    name: str
    verb: str
    size: int
    repeats: int

    @property
    def key(self) -> str:
        """What :mod:`plain_s3` reads the size from."""
        return f"outcomes/{self.size}"

    def data(self) -> Any:
        """What goes with the request."""
        match self.verb:
            case "put":
                return b"x" * self.size
            case "delete":
                return [f"outcomes/{number}" for number in range(LISTED)]
        return None


WORKS: Final = [
    *(
        Work(f"{verb} {size // 1000:,} kB", verb, size, repeats)
        for size, repeats in ((1000, 1000), (100_000, 400), (50_000_000, 8))
        for verb in ("put", "get")
    ),
    Work(f"list {LISTED:,} keys", "list", 0, 40),
    Work(f"delete {LISTED:,} keys", "delete", 0, 40),
]


def client(library: str, endpoint: str, bucket: str) -> Request:
    """Make a client, set up as the payload package sets up its own where that matters."""
    os.environ.update(CREDENTIALS)
    make = {"obstore": _obstore, "obstore async": _obstore_async, "boto3": _boto3, PATIENT: _obstore_patient}[library]
    verbs = make(endpoint, bucket)
    return lambda verb, key, data: verbs[verb](key, data)


def _store(endpoint: str, bucket: str, **options: Any) -> Any:
    from obstore.store import S3Store

    return S3Store(
        bucket, prefix="run", region=REGION, endpoint=endpoint, client_options={"allow_http": True}, **options
    )


def _obstore_patient(endpoint: str, bucket: str) -> dict[str, Callable[[str, Any], Any]]:
    return _obstore(endpoint, bucket, retry_config={"max_retries": 30, "backoff": {"base": 3}})


def _obstore(endpoint: str, bucket: str, **options: Any) -> dict[str, Callable[[str, Any], Any]]:
    import obstore

    store = _store(endpoint, bucket, **options)
    return {
        "put": lambda key, data: obstore.put(store, key, data, use_multipart=False),
        "get": lambda key, _: memoryview(obstore.get(store, key).bytes()),
        "list": lambda key, _: [entry["path"] for page in obstore.list(store, key, chunk_size=1000) for entry in page],
        "delete": lambda _, keys: obstore.delete(store, keys),
    }


def _obstore_async(endpoint: str, bucket: str) -> dict[str, Callable[[str, Any], Any]]:
    import obstore

    store = _store(endpoint, bucket)

    async def put(key: str, data: Any) -> None:
        await obstore.put_async(store, key, data, use_multipart=False)

    async def get(key: str, _: None) -> memoryview:
        return memoryview(await (await obstore.get_async(store, key)).bytes_async())

    async def listed(key: str, _: None) -> list[str]:
        return [entry["path"] async for page in obstore.list(store, key, chunk_size=1000) for entry in page]

    async def delete(_: str, keys: list[str]) -> None:
        await obstore.delete_async(store, keys)

    return {"put": put, "get": get, "list": listed, "delete": delete}


def _boto3(endpoint: str, bucket: str) -> dict[str, Callable[[str, Any], Any]]:
    import boto3

    s3 = boto3.client("s3", endpoint_url=endpoint, region_name=REGION)

    def objects(keys: list[str]) -> Any:
        return {"Objects": [{"Key": f"run/{key}"} for key in keys]}

    return {
        "put": lambda key, data: s3.put_object(Bucket=bucket, Key=f"run/{key}", Body=data),
        "get": lambda key, _: s3.get_object(Bucket=bucket, Key=f"run/{key}")["Body"].read(),
        "list": lambda key, _: [
            entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"run/{key}")["Contents"]
        ],
        "delete": lambda _, keys: s3.delete_objects(Bucket=bucket, Delete=objects(keys)),
    }


async def _together(request: Request, work: Work, data: Any, count: int) -> None:
    for _ in range(0, count, AT_ONCE):
        await asyncio.gather(*[request(work.verb, work.key, data) for _ in range(min(count, AT_ONCE))])


def _run(library: str, request: Request, work: Work, data: Any, count: int) -> None:
    """Make a request several times."""
    if library == "obstore async":
        asyncio.run(_together(request, work, data, count))
    else:
        for _ in range(count):
            request(work.verb, work.key, data)


def cost_of_request(endpoint: str, work: Work, library: str) -> float:
    """Milliseconds of processor time that one request takes."""
    request, data = client(library, endpoint, "plain"), work.data()
    _run(library, request, work, data, AT_ONCE)
    before = _processor_time()
    _run(library, request, work, data, work.repeats)
    return (_processor_time() - before) / work.repeats * 1000


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_of_request(endpoint: str, work: Work, library: str) -> float:
    """How often an object lies in memory at the peak of its request; data that the caller puts is not counted."""
    request, data = client(library, endpoint, "plain"), work.data()
    _run(library, request, Work("", "get", 1000, 1), None, 1)
    Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the peak so far
    before = memory("VmRSS")
    _run(library, request, work, data, 1)
    return (memory("VmHWM") - before) / work.size


def memory(name: str) -> int:
    """Bytes of resident memory, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def end_of_request(endpoint: str, work: Work, bucket: str, library: str) -> str:
    """Make one request that cannot simply succeed; say how it ended."""
    request = client(library, endpoint, bucket)
    try:
        _run(library, request, work, work.data(), 1)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return " < ".join(kinds[: kinds.index("Exception")])
    return "worked"


def survivors(endpoint: str, fault: str, library: str) -> int:
    """Make :data:`CALLERS` puts at once, each of a client and a failing bucket of its own; count those that work."""
    work, buckets = Work("", "put", 1000, 1), [f"{fault}-{uuid4().hex}" for _ in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(lambda bucket: end_of_request(endpoint, work, bucket, library), buckets)).count("worked")
