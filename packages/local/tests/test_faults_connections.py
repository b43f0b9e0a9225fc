"""Connections that are reset, answers that never come, and conditional writes that meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from scaler_batch.local import LocalAWS
from scaler_batch.local.faults import Conflict, Drop, Fault, Hang, LoseResponse

ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=0.5)
BUCKET = "connections"


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAWS) -> Iterator[None]:
    yield
    aws.remove_faults()


@pytest.fixture(scope="module")
def s3(aws: LocalAWS) -> Iterator[Any]:
    client = aws.client("s3", config=ONCE)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


keys = map("key-{}".format, itertools.count())


def stored(s3: Any, key: str) -> bytes | None:
    try:
        return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def was_reset(error: ConnectionClosedError) -> bool:
    """Whether the kernel reported a reset. A connection that is closed in order is another class of Python's."""
    return type(error.kwargs["error"].args[-1]) is ConnectionResetError


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize(("fault", "done"), [(Drop, False), (LoseResponse, True)])
def test_a_put_is_reset_before_or_after_it_took_effect(
    aws: LocalAWS, s3: Any, fault: Callable[..., Fault], done: bool, size: int
) -> None:
    key, body = next(keys), b"x" * size
    with aws.suffering(fault("s3.PutObject", reset=True)), pytest.raises(ConnectionClosedError) as lost:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*")
    assert was_reset(lost.value)
    assert stored(s3, key) == (body if done else None)


def test_a_connection_that_is_closed_in_order_is_not_reset(aws: LocalAWS, s3: Any) -> None:
    with aws.suffering(LoseResponse("s3.PutObject")), pytest.raises(ConnectionClosedError) as lost:
        s3.put_object(Bucket=BUCKET, Key=next(keys), Body=b"")
    assert not was_reset(lost.value)


@pytest.mark.parametrize("done", [False, True])
def test_a_call_is_never_answered(aws: LocalAWS, s3: Any, done: bool) -> None:
    key = next(keys)
    with aws.suffering(Hang("s3.PutObject", done=done)), pytest.raises(ReadTimeoutError):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"body")
    assert stored(s3, key) == (b"body" if done else None)


@pytest.mark.long
def test_many_calls_that_hang_do_not_hold_up_others(aws: LocalAWS) -> None:
    from concurrent.futures import ThreadPoolExecutor

    s3 = aws.client("s3", config=Config(retries={"total_max_attempts": 1}, read_timeout=3, max_pool_connections=40))
    with aws.suffering(Hang("s3.PutObject")), ThreadPoolExecutor(40) as pool:
        hanging = [pool.submit(s3.put_object, Bucket=BUCKET, Key="none", Body=b"") for _ in range(40)]
        s3.list_buckets()
        assert not any(each.done() for each in hanging)
        for each in hanging:
            with pytest.raises(ReadTimeoutError):
                each.result()
    s3.close()


def test_faults_are_about_the_keys_that_are_meant(aws: LocalAWS, s3: Any) -> None:
    aws.inject(Drop("s3.*Object*", path=f"{BUCKET}/runs/*/outcomes/*"))
    s3.put_object(Bucket=BUCKET, Key="runs/1/packs/1", Body=b"")
    s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/1/packs/")
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="runs/1/outcomes/1", Body=b"")
    with pytest.raises(ConnectionClosedError):
        s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/1/outcomes/")


def refused(s3: Any, key: str) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"ours", IfNoneMatch="*")
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("conflict", "then"),
    [
        (Conflict(count=1), None),
        (Conflict(count=1, done=True), b"ours"),
        (Conflict(count=1, winner="theirs"), b"theirs"),
        (Conflict(count=1, winner=""), b""),
    ],
)
def test_a_conditional_put_meets_another(aws: LocalAWS, s3: Any, conflict: Conflict, then: bytes | None) -> None:
    key = next(keys)
    aws.inject(conflict)
    s3.put_object(Bucket=BUCKET, Key="without-condition", Body=b"")
    assert refused(s3, key) == ("ConditionalRequestConflict", 409)
    assert stored(s3, key) == then
    if then is None:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"ours", IfNoneMatch="*")
    else:
        assert refused(s3, key) == ("PreconditionFailed", 412)
