"""The store in S3 where S3 does not play along. The faults are real HTTP servers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import boto3
import pytest

from scaler_batch.payload import RunLocation
from scaler_batch.payload.errors import AlreadyStoredError, ContractError, CredentialsError, NotStoredError, StoreError
from scaler_batch.payload.s3 import BlockingS3RunStore, S3RunStore, boto3_credentials

if TYPE_CHECKING:
    from conftest import S3

RUN = RunLocation("tests", "prefix", "run", "us-east-1")


class Stumbling(ThreadingHTTPServer):
    """Answers the first requests with an error, then all with an object."""

    def __init__(self, *, status: int, times: int, code: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = status
        self.said = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        self.times = times
        self.requests = 0

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}"}


class _Answer(BaseHTTPRequestHandler):
    server: Stumbling

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests += 1
        stumbles = self.server.requests <= self.server.times
        body = self.server.said if stumbles else b"object"
        self.send_response(self.server.status if stumbles else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def stumbling(*, status: int = 503, times: int = 10**6, code: str = "") -> Iterator[Stumbling]:
    with Stumbling(status=status, times=times, code=code) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_spell_of_errors_is_outlasted(status: int) -> None:
    with stumbling(status=status, times=2) as server:
        assert await S3RunStore(RUN, environment=server.environment).get("packs/1") == b"object"
        assert server.requests == 3
    with stumbling(status=status, times=2) as server:
        BlockingS3RunStore(RUN, environment=server.environment).put_once("outcomes/1", [b"x"])
        assert server.requests == 3


async def test_a_spell_that_lasts_is_an_error_that_may_be_tried_again() -> None:
    with stumbling(status=503) as server:
        with pytest.raises(StoreError, match="503") as caught:
            await S3RunStore(RUN, environment=server.environment, retries=1).get("packs/1")
        assert caught.value.retryable
        assert caught.value.key == "packs/1"
        assert server.requests == 2
        with pytest.raises(StoreError, match="503") as caught:
            BlockingS3RunStore(RUN, environment=server.environment, retries=0).put_once("outcomes/1", [b"x"])
        assert caught.value.retryable
        assert server.requests == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_an_error_that_stays_and_is_not_retried(status: int) -> None:
    with stumbling(status=status) as server:
        store = S3RunStore(RUN, environment=server.environment)
        for call in (store.get("a/1"), store.put("a/1", [b"x"]), store.delete(["a/1"])):
            with pytest.raises(StoreError, match=str(status)) as caught:
                await call
            assert not caught.value.retryable
        assert server.requests == 3


@pytest.mark.parametrize("code", ["ExpiredToken", "TokenRefreshRequired", "RequestExpired"])
async def test_credentials_that_have_expired_are_asked_for_anew(code: str) -> None:
    with stumbling(status=400, times=1, code=code) as server:
        assert await S3RunStore(RUN, environment=server.environment).get("packs/1") == b"object"
        assert server.requests == 2
    with stumbling(status=400, times=1, code=code) as server:
        BlockingS3RunStore(RUN, environment=server.environment).put_once("outcomes/1", [b"x"])
        assert server.requests == 2


@pytest.mark.long
async def test_credentials_that_stay_expired_are_an_error_that_says_so() -> None:
    with stumbling(status=400, code="ExpiredToken") as server:
        store = S3RunStore(RUN, environment=server.environment, retries=1)
        for call in (store.get("a/1"), store.put("a/1", [b"x"]), store.list("a"), store.delete(["a/1"])):
            with pytest.raises(CredentialsError, match=r"ExpiredToken.*renew") as caught:
                await call
            assert caught.value.awaits_credentials
            assert not caught.value.retryable
        assert server.requests == 8
        with pytest.raises(StoreError, match="ExpiredToken"):
            BlockingS3RunStore(RUN, environment=server.environment, retries=0).get("a/1")
        assert server.requests == 9


async def test_another_bad_request_is_not_tried_again() -> None:
    with stumbling(status=400, code="InvalidRequest") as server:
        with pytest.raises(StoreError, match="InvalidRequest"):
            await S3RunStore(RUN, environment=server.environment).get("a/1")
        assert server.requests == 1


def test_credentials_of_boto3_are_not_kept_longer_than_they_hold() -> None:
    # botocore hands out credentials that hold for ten minutes at least.
    session = boto3.Session("key", "secret", region_name="us-east-1")
    until = boto3_credentials(session)()["expires_at"]
    assert until is not None
    assert until < datetime.now(UTC) + timedelta(minutes=10)


async def test_a_bucket_that_does_not_exist_is_not_taken_for_an_absent_object_when_writing(s3: S3) -> None:
    run = RunLocation("no-such-bucket", "prefix", "run", "us-east-1")
    store = S3RunStore(run, environment=s3.environment)
    blocking = BlockingS3RunStore(run, environment=s3.environment)
    with pytest.raises(StoreError, match="no-such-bucket") as caught:
        await store.put("packs/1", [b"x"])
    assert not isinstance(caught.value, NotStoredError)
    assert not caught.value.retryable
    with pytest.raises(StoreError, match="no-such-bucket") as caught:
        blocking.put_once("outcomes/1", [b"x"])
    assert not isinstance(caught.value, NotStoredError)


@pytest.mark.parametrize("status", [409, 412])
def test_either_answer_of_s3_to_a_second_writer_means_that_something_lies_there(status: int) -> None:
    with stumbling(status=status) as server, pytest.raises(AlreadyStoredError):
        BlockingS3RunStore(RUN, environment=server.environment).put_once("outcomes/1", [b"x"])


async def test_nobody_at_the_address_is_an_error_that_may_be_tried_again() -> None:
    with stumbling() as server:
        environment = server.environment
    store = S3RunStore(RUN, environment=environment, retries=0)
    with pytest.raises(StoreError) as caught:
        await store.list("outcomes")
    assert caught.value.retryable
    assert "\n" not in str(caught.value)


async def test_the_endpoint_of_s3_goes_before_the_endpoint_of_everything() -> None:
    with stumbling(times=0) as server:
        environment = {
            "AWS_ENDPOINT_URL_S3": server.environment["AWS_ENDPOINT_URL"],
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        }
        assert await S3RunStore(RUN, environment=environment).get("packs/1") == b"object"


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:9000", "ftp://host", "http://", "http://a b", "http://host:99999", "http://host:x", "s3://bucket"],
)
def test_an_endpoint_that_is_none_is_refused_before_the_first_request(endpoint: str) -> None:
    for store in (S3RunStore, BlockingS3RunStore):
        with pytest.raises(ContractError, match="AWS_ENDPOINT_URL"):
            store(RUN, environment={"AWS_ENDPOINT_URL": endpoint})


def after_making_a_store(expression: str) -> str:
    """What an expression prints in a process that has made a store, and made no request."""
    script = (
        "import os, sys\n"
        "from scaler_batch.payload import RunLocation\n"
        "from scaler_batch.payload.s3 import BlockingS3RunStore\n"
        "BlockingS3RunStore(RunLocation('bucket', '', 'run', 'us-east-1'))\n"
        f"print({expression})\n"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_importing_and_making_a_store_starts_no_thread() -> None:
    assert after_making_a_store("len(os.listdir('/proc/self/task'))") == "1\n"


def test_a_store_without_an_event_loop_imports_none() -> None:
    unwanted = "{'asyncio', 'boto3', 'concurrent', 'threading'}"
    assert after_making_a_store(f"sorted({unwanted} & sys.modules.keys())") == "[]\n"


PUTS_A_LARGE_VIEW = """
import asyncio, resource, sys
from scaler_batch.payload import RunLocation
from scaler_batch.payload.s3 import BlockingS3RunStore, S3RunStore

run, environment = RunLocation("tests", "prefix", "run", "us-east-1"), {"AWS_ENDPOINT_URL": sys.argv[2]}

def put(pieces):
    if sys.argv[1] == "put":
        asyncio.run(S3RunStore(run, environment=environment).put("packs/1", pieces))
    else:
        BlockingS3RunStore(run, environment=environment).put_once("outcomes/1/0", pieces)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

put([b"small"])
view = memoryview(b"x" * 30_000_000)
before = peak()
put([b"header", view])
print(peak() - before)
"""


@pytest.mark.parametrize("method", ["put", "put_once"])
def test_a_large_view_is_sent_without_being_copied(method: str) -> None:
    with stumbling(times=0) as server:
        command = [sys.executable, "-c", PUTS_A_LARGE_VIEW, method, server.environment["AWS_ENDPOINT_URL"]]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 15_000_000


ENDS_BESIDE_A_NATIVE_THREAD = """
import _thread, sys, time
from scaler_batch.payload import RunLocation
from scaler_batch.payload.s3 import S3RunStore

def work():
    entered.release()
    time.sleep(float(sys.argv[1]))
    print("left", flush=True)

S3RunStore(RunLocation("tests", "prefix", "run", "us-east-1"))
entered = _thread.allocate_lock()
entered.acquire()
_thread.start_new_thread(work, ())  # threading does not know of it, as of those that native code starts
entered.acquire()
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the interpreter leaves such threads alone")
@pytest.mark.parametrize(("seconds", "printed"), [(0.3, "left\n"), (60, "")])
def test_the_end_of_a_process_waits_a_moment_for_native_threads_to_leave_python(seconds: float, printed: str) -> None:
    command = [sys.executable, "-c", ENDS_BESIDE_A_NATIVE_THREAD, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == printed
