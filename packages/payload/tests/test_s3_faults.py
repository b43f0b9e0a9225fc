"""The store in S3 where requests, answers, credentials or keys go wrong. The faults are those of a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import botocore.exceptions
import pytest

from scaler_batch.payload import RunLocation
from scaler_batch.payload.errors import (
    AlreadyStoredError,
    ContractError,
    CredentialsError,
    NotStoredError,
    StoreError,
    UnlistableError,
)
from scaler_batch.payload.listings import Boto3Listing
from scaler_batch.payload.s3 import BlockingS3RunStore, S3RunStore, boto3_credentials
from scaler_batch.payload.testing import Answer, Fault, FaultyS3, Hang, Reset

if TYPE_CHECKING:
    from conftest import S3

RUN = RunLocation("tests", "prefix", "run", "us-east-1")
KEY = "prefix/run/outcomes/0/0"

CONFLICT = Answer(409, "ConditionalRequestConflict")
PASSING: dict[str, Fault] = {
    "reset": Reset(),
    "answer lost": Reset(served=True),
    "conflict": CONFLICT,
    "400 RequestTimeout": Answer(400, "RequestTimeout"),
    "403 RequestTimeTooSkewed": Answer(403, "RequestTimeTooSkewed"),
    "500": Answer(500, "InternalError"),
    "503": Answer(503, "SlowDown"),
    "429": Answer(429),
    "400 ExpiredToken": Answer(400, "ExpiredToken"),
}


# --- what passes is outlasted ---


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
def test_what_is_put_once_is_put_though_a_fault_comes_first(fault: Fault, times: int) -> None:
    with FaultyS3([fault] * times) as s3:
        BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"res", b"ult"])
        assert s3.objects == {KEY: b"result"}


@pytest.mark.long
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_every_other_call_goes_through_too(fault: Fault) -> None:
    with FaultyS3([fault]) as s3:
        store = S3RunStore(RUN, environment=s3.environment)
        await store.put("outcomes/0/0", [b"result"])
        s3.befall(fault)
        assert await store.get("outcomes/0/0") == b"result"
        s3.befall(fault)
        await store.renew("outcomes/0/0")
        s3.befall(fault)
        assert await store.list("outcomes") == ["outcomes/0/0"]
        s3.befall(fault)
        await store.delete(["outcomes/0/0"])
        assert s3.objects == {}


async def test_a_copy_that_fails_after_s3_has_answered_200_is_made_again() -> None:
    with FaultyS3() as s3:
        store = S3RunStore(RUN, environment=s3.environment)
        await store.put("outcomes/0/0", [b"result"])
        s3.befall(Answer(200, "InternalError"))
        await store.renew("outcomes/0/0")
        assert s3.requests == [f"PUT {KEY}", f"COPY {KEY}", f"COPY {KEY}"]


@pytest.mark.parametrize("fault", [Reset(served=True), Answer(500, served=True)])
def test_an_own_earlier_try_is_not_taken_for_somebody_elses(fault: Fault) -> None:
    with FaultyS3([fault]) as s3:
        BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"result"])
        assert s3.requests == [f"PUT {KEY}", f"PUT {KEY}", f"GET {KEY}"]


@pytest.mark.parametrize("fault", [Reset(), Reset(served=True), CONFLICT, Answer(500)])
def test_somebody_elses_object_stays_and_is_told(fault: Fault) -> None:
    with FaultyS3([fault]) as s3:
        s3.objects[KEY] = b"theirs"
        with pytest.raises(AlreadyStoredError):
            BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"ours"])
        assert s3.objects == {KEY: b"theirs"}


def test_the_same_bytes_of_somebody_else_are_not_taken_for_ours() -> None:
    with FaultyS3() as s3:
        store = BlockingS3RunStore(RUN, environment=s3.environment)
        store.put_once("outcomes/0/0", [b"result"])
        with pytest.raises(AlreadyStoredError):
            store.put_once("outcomes/0/0", [b"result"])


@pytest.mark.long
@pytest.mark.parametrize("always", [Reset(), CONFLICT])
def test_what_does_not_pass_ends_in_an_error_that_may(always: Fault) -> None:
    with FaultyS3(always=always) as s3:
        store = BlockingS3RunStore(RUN, environment=s3.environment, patience=2)
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            store.put_once("outcomes/0/0", [b"result"])
        assert caught.value.retryable
        assert time.monotonic() - started < 5
        assert len(s3.requests) > 2
        with pytest.raises(StoreError):
            BlockingS3RunStore(RUN, environment=s3.environment, retries=0).put_once("outcomes/0/0", [b"result"])


# --- what does not pass is told for what it is ---


FINAL: dict[str, tuple[Answer, str]] = {
    "denied": (Answer(403, "AccessDenied"), "AccessDenied"),
    "no bucket": (Answer(404, "NoSuchBucket"), "NoSuchBucket"),
    "not S3": (Answer(404), "404"),
    "bad request": (Answer(400, "InvalidRequest"), "InvalidRequest"),
    "moved": (Answer(301, "PermanentRedirect"), "the bucket is not in us-east-1 but in another region"),
    "elsewhere": (
        Answer(400, "AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>"),
        "the bucket is not in us-east-1 but in eu-west-1",
    ),
}

INVALID: dict[str, Answer] = {
    code: Answer(status, code)
    for code, status in {
        "InvalidAccessKeyId": 403,
        "SignatureDoesNotMatch": 403,
        "InvalidToken": 400,
        "InvalidClientTokenId": 403,
    }.items()
} | {"401": Answer(401)}

Call = Callable[[S3RunStore], Awaitable[object]]
CALLS: dict[str, Call] = {
    "put": lambda store: store.put("outcomes/0/0", [b"result"]),
    "get": lambda store: store.get("outcomes/0/0"),
    "list": lambda store: store.list("outcomes"),
    "delete": lambda store: store.delete(["outcomes/0/0"]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("answer", "said"), FINAL.values(), ids=FINAL)
async def test_a_refusal_that_stays_is_told_at_once(call: Call, answer: Answer, said: str) -> None:
    with FaultyS3(always=answer) as s3:
        with pytest.raises(StoreError, match=said) as caught:
            await call(S3RunStore(RUN, environment=s3.environment))
        assert not caught.value.retryable
        assert not caught.value.awaits_credentials
        assert not isinstance(caught.value, NotStoredError)
        assert len(s3.requests) == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("answer", INVALID.values(), ids=INVALID)
async def test_credentials_that_are_not_accepted_are_told_as_such(call: Call, answer: Answer) -> None:
    with FaultyS3(always=answer) as s3:
        with pytest.raises(CredentialsError, match="renew them") as caught:
            await call(S3RunStore(RUN, environment=s3.environment))
        assert caught.value.awaits_credentials
        assert not caught.value.retryable


async def test_an_absent_object_is_told_from_an_absent_bucket() -> None:
    with FaultyS3() as s3:
        store = S3RunStore(RUN, environment=s3.environment)
        with pytest.raises(NotStoredError):
            await store.get("outcomes/0/0")
        with pytest.raises(NotStoredError):
            BlockingS3RunStore(RUN, environment=s3.environment).get_ranges("outcomes/0/0", [(0, 1)])


class Broken:
    """Gives credentials once it has been mended."""

    config: ClassVar[dict[str, Any]] = {}

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def __call__(self) -> Any:
        if self.error is not None:
            raise self.error
        return {"access_key_id": "key", "secret_access_key": "secret", "expires_at": None}


PROVIDERS: dict[str, BaseException] = {
    "a program's stale output": RuntimeError("Credentials were refreshed, but the refreshed credentials are expired."),
    "a program that is missing": FileNotFoundError(2, "No such file or directory", "helper"),
    "an SSO session that has ended": botocore.exceptions.TokenRetrievalError(provider="sso", error_msg="expired"),
    "an SSO token that is missing": botocore.exceptions.SSOTokenLoadError(error_msg="no token"),
    "a program that fails": botocore.exceptions.CredentialRetrievalError(provider="process", error_msg="exit 1"),
    "no network": botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts"),
    "a fault": KeyError("AccessKeyId"),
    "an exit": SystemExit(1),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("error", PROVIDERS.values(), ids=PROVIDERS)
async def test_credentials_that_cannot_be_had_are_waited_for_by_the_caller(call: Call, error: BaseException) -> None:
    with FaultyS3() as s3:
        s3.objects[KEY] = b"result"
        provider: Any = Broken(error)
        store = S3RunStore(RUN, environment=s3.environment, credentials=provider)
        with pytest.raises(CredentialsError, match="renew them") as caught:
            await call(store)
        assert caught.value.awaits_credentials
        assert s3.requests == []
        provider.error = None
        await call(store)


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
async def test_credentials_with_a_line_break_do_not_break_the_process(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "AKIA\n")
    with FaultyS3() as s3:
        with pytest.raises(CredentialsError):
            await S3RunStore(RUN, environment=s3.environment).put("packs/1", [b"x"])
        with pytest.raises(CredentialsError):
            BlockingS3RunStore(RUN, environment=s3.environment, retries=0).put_once("packs/1", [b"x"])


def test_what_is_put_once_waits_for_any_credentials() -> None:
    with FaultyS3([Answer(403, "InvalidAccessKeyId")]) as s3:
        BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"x"])
        assert s3.objects == {KEY: b"x"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_ENDPOINT_URL_S3", ""),
        ("AWS_ENDPOINT_URL_S3", "junk"),
        ("AWS_ENDPOINT", "junk"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
        ("AWS_CONDITIONAL_PUT", "disabled"),
        ("AWS_SKIP_SIGNATURE", "junk"),
        ("AWS_S3_EXPRESS", "true"),
        ("AWS_METADATA_ENDPOINT", "junk"),
        ("AWS_ALLOW_HTTP", "maybe"),
        ("AWS_BUCKET", "another"),
        ("HTTPS_PROXY", "::"),
        ("ALL_PROXY", "::"),
    ],
)
def test_variables_that_obstore_reads_by_itself_change_nothing(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with FaultyS3() as s3:
        BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"x"])
        assert s3.objects == {KEY: b"x"}


@pytest.mark.parametrize("variable", ["AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_REQUEST_PAYER"])
def test_variables_that_obstore_cannot_read_are_refused_with_the_fix(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "junk")
    with pytest.raises(ContractError, match=r"junk.*mend the AWS_ variables"):
        BlockingS3RunStore(RUN, environment={})


# --- how long a call takes ---


@pytest.mark.long
async def test_a_call_ends_when_its_patience_is_over_whatever_the_network_does() -> None:
    with FaultyS3(always=Hang()) as s3:
        store = S3RunStore(RUN, environment=s3.environment).with_patience(0.5)
        for call in CALLS.values():
            started = time.monotonic()
            with pytest.raises(StoreError, match=r"within 0.5 s") as caught:
                await call(store)
            assert caught.value.retryable
            assert time.monotonic() - started < 3


@pytest.mark.long
@pytest.mark.parametrize("patience", [2.0, 4.0])
async def test_a_call_whose_patience_is_over_says_what_went_wrong(patience: float) -> None:
    with FaultyS3(always=Answer(503, "SlowDown")) as s3:
        store = S3RunStore(RUN, environment=s3.environment).with_patience(patience)
        started = time.monotonic()
        with pytest.raises(StoreError, match=r"503|SlowDown") as caught:
            await store.list("outcomes")
        assert caught.value.retryable
        assert time.monotonic() - started < patience + 1


class Unreachable:
    """An address at which nobody answers: its queue of connections is full."""

    def __enter__(self) -> str:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(0)
        self._waiting = [socket.socket() for _ in range(4)]
        for each in self._waiting:
            each.setblocking(False)
            each.connect_ex(self._listening.getsockname())
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._waiting):
            each.close()


async def test_a_call_to_a_host_that_swallows_connections_ends_in_time() -> None:
    with Unreachable() as address:
        store = S3RunStore(RUN, environment={"AWS_ENDPOINT_URL": address}).with_patience(1)
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            await store.list("outcomes")
        assert caught.value.retryable
        assert time.monotonic() - started < 4


@pytest.mark.long
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_blocking_call_to_nobody_ends_in_time(address: str) -> None:
    store = BlockingS3RunStore(RUN, environment={"AWS_ENDPOINT_URL": address}, patience=1)
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        store.put_once("outcomes/0/0", [b"x"])
    assert caught.value.retryable
    assert time.monotonic() - started < 20


@pytest.mark.long
def test_a_blocking_put_that_gets_no_answer_is_tried_again() -> None:
    with FaultyS3([Hang()]) as s3:
        BlockingS3RunStore(RUN, environment=s3.environment, patience=6).put_once("outcomes/0/0", [b"x"])
        assert s3.objects == {KEY: b"x"}


CANCELS = """
import asyncio, sys, time
from scaler_batch.payload import RunLocation
from scaler_batch.payload.s3 import S3RunStore

async def main():
    run = RunLocation("tests", "prefix", "run", "us-east-1")
    store = S3RunStore(run, environment={"AWS_ENDPOINT_URL": sys.argv[1]})
    calls = [store.put("a/1", [b"x"]), store.get("a/1"), store.list("a"), store.delete(["a/1"])]
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0.3)
    started = time.monotonic()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(time.monotonic() - started < 0.5, flush=True)

asyncio.run(main())
"""


def test_calls_that_are_cancelled_end_at_once_and_do_not_keep_the_process() -> None:
    with FaultyS3(always=Hang()) as s3:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", CANCELS, s3.address], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "True\n"
        assert time.monotonic() - started < 10


# --- keys that cannot be read ---


BAD_KEYS = ["outcomes/../x", "outcomes//x", "outcomes/a\x01b", "outcomes/./x", "outcomes/\x7f", "outcomes/a\nb"]


def session() -> boto3.Session:
    return boto3.Session("key", "secret", region_name="us-east-1")


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_key_that_cannot_be_read_hides_no_other(key: str) -> None:
    with FaultyS3() as s3:
        s3.objects |= {KEY: b"", f"prefix/run/{key}": b""}
        listing = Boto3Listing(session(), RUN, environment=s3.environment)
        store = S3RunStore(RUN, environment=s3.environment, listing=listing)
        assert await store.list("outcomes") == ["outcomes/0/0"]
        assert store.passed_over == 1


async def test_a_key_that_cannot_be_read_hides_not_what_is_known_of_others() -> None:
    with FaultyS3() as s3:
        s3.objects = {KEY: b"data"}
        store = S3RunStore(
            RUN, environment=s3.environment, listing=Boto3Listing(session(), RUN, environment=s3.environment)
        )
        found = await store.infos("outcomes")
        s3.objects["prefix/run/outcomes//x"] = b""
        assert await store.infos("outcomes") == found
        assert found["outcomes/0/0"].size == 4
        assert store.passed_over == 1


async def test_keys_that_cannot_be_read_are_removed_where_that_is_possible() -> None:
    with FaultyS3() as s3:
        s3.objects |= {KEY: b"", "prefix/run/outcomes/../x": b"", "prefix/run/outcomes//x": b""}
        listing = Boto3Listing(session(), RUN, environment=s3.environment)
        store = S3RunStore(RUN, environment=s3.environment, listing=listing)
        assert await store.list("outcomes") == ["outcomes/0/0"]
        assert s3.objects == {KEY: b""}
        s3.requests.clear()
        assert await store.list("outcomes") == ["outcomes/0/0"]
        assert len(s3.requests) == 1
        assert store.passed_over == 2


async def test_a_listing_by_other_means_goes_beyond_one_page() -> None:
    with FaultyS3() as s3:
        s3.page = 7
        keys = [f"outcomes/{number}/0" for number in range(50)]
        s3.objects = {f"prefix/run/{key}": b"" for key in (*keys, *BAD_KEYS)}
        listing = Boto3Listing(session(), RUN, environment=s3.environment)
        store = S3RunStore(RUN, environment=s3.environment, listing=listing)
        assert sorted(await store.list("outcomes")) == sorted(keys)


async def test_keys_that_cannot_be_read_are_told_where_no_other_means_are_at_hand() -> None:
    with FaultyS3() as s3:
        s3.objects |= {KEY: b"", "prefix/run/outcomes//x": b""}
        with pytest.raises(UnlistableError, match="remove them"):
            await S3RunStore(RUN, environment=s3.environment).list("outcomes")
        with pytest.raises(UnlistableError):
            BlockingS3RunStore(RUN, environment=s3.environment).list("outcomes")


async def test_a_real_s3_is_listed_in_spite_of_such_keys(s3: S3) -> None:
    run = s3.run()
    client = session().client("s3", endpoint_url=s3.endpoint)
    client.put_object(Bucket=s3.bucket, Key=f"{run.root}/outcomes//x", Body=b"")
    store = S3RunStore(
        run, environment=s3.environment, listing=Boto3Listing(session(), run, environment=s3.environment)
    )
    await store.put("outcomes/1/0", [b"x"])
    assert await store.list("outcomes") == ["outcomes/1/0"]
    assert store.passed_over == 1


class Hidden(FaultyS3):
    """An S3 whose listings boto3 gets no answer to."""

    def take_fault(self, request: str) -> Fault | None:
        return super().take_fault(request) or (Hang() if len(self.requests) > 1 else None)


@pytest.mark.long
async def test_a_listing_by_other_means_is_cancelled_at_once() -> None:
    with Hidden() as s3:
        s3.objects |= {"prefix/run/outcomes//x": b""}
        listing = Boto3Listing(session(), RUN, environment=s3.environment)
        store = S3RunStore(RUN, environment=s3.environment, listing=listing)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await store.list("outcomes")
        assert time.monotonic() - started < 5


# --- certificates ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file with a private authority, and one with a server's certificate by it and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder, now = tmp_path_factory.mktemp("authority"), datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "localhost")]

    def certificate(number: int, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(names[0], names[number], keys[number].public_key(), number + 1)
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        return (
            builder.add_extension(extension, critical=False)
            .sign(keys[0], hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    (folder / "ca.pem").write_bytes(certificate(0, x509.BasicConstraints(ca=True, path_length=None)))
    key = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server = certificate(1, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    (folder / "server.pem").write_bytes(server + key)
    return folder / "ca.pem", folder / "server.pem"


@pytest.fixture
def private(authority: tuple[Path, Path]) -> Iterator[tuple[dict[str, str], Path]]:
    """The address of an S3 behind a private authority, and the authority."""
    bundle, server = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    with FaultyS3(tls=context) as s3:
        yield {"AWS_ENDPOINT_URL": s3.address.replace("127.0.0.1", "localhost")}, bundle


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
async def test_a_private_authority_is_trusted_once_it_is_named(
    variable: str, private: tuple[dict[str, str], Path]
) -> None:
    environment, bundle = private
    with pytest.raises(StoreError):
        await S3RunStore(RUN, environment=environment, retries=0).put("packs/1", [b"x"])
    named = environment | {variable: str(bundle)}
    store = S3RunStore(RUN, environment=named)
    await store.put("packs/1", [b"x"])
    assert await store.get("packs/1") == b"x"
    BlockingS3RunStore(RUN, environment=named).put_once("packs/2", [b"x"])


# --- credentials of boto3 ---


def test_a_session_without_credentials_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(CredentialsError, match="renew them"):
        boto3_credentials(boto3.Session(region_name="us-east-1"))


class CredentialEndpoint(FaultyS3):
    """Where a container gets its credentials."""

    def serve(self, method: str, key: str, query: dict[str, list[str]], body: bytes, *, once: bool) -> bytes:
        held = {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
        return json.dumps(held).encode()


@pytest.fixture
def in_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CredentialEndpoint]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("token")
    with CredentialEndpoint() as endpoint:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{endpoint.address}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        yield endpoint


def test_a_container_asks_for_credentials_once_for_all_calls_of_a_store(in_a_container: CredentialEndpoint) -> None:
    with FaultyS3() as s3:
        store = BlockingS3RunStore(RUN, environment=s3.environment)
        for number in range(5):
            store.put_once(f"outcomes/{number}/0", [b"x"])
    assert len(in_a_container.requests) == 1


@pytest.mark.parametrize("answer", [Answer(429), Answer(500), Answer(503), Answer(403), Answer(404), Reset()])
def test_a_container_that_gets_no_credentials_at_first_asks_again(
    in_a_container: CredentialEndpoint, answer: Fault
) -> None:
    in_a_container.befall(answer)
    with FaultyS3() as s3:
        BlockingS3RunStore(RUN, environment=s3.environment).put_once("outcomes/0/0", [b"x"])
        assert s3.objects == {KEY: b"x"}


@pytest.mark.parametrize("answer", [Answer(500), Answer(403), Answer(404), Reset()])
async def test_a_container_that_gets_no_credentials_says_so(in_a_container: CredentialEndpoint, answer: Fault) -> None:
    for _ in range(10):
        in_a_container.befall(answer)
    with FaultyS3() as s3:
        for call in CALLS.values():
            with pytest.raises(CredentialsError):
                await call(S3RunStore(RUN, environment=s3.environment, retries=0))


def test_many_calls_side_by_side_ask_for_credentials_once() -> None:
    asked: list[int] = []

    class Counting(Broken):
        def __call__(self) -> Any:
            asked.append(threading.get_ident())
            return super().__call__()

    provider: Any = Counting(KeyError())
    provider.error = None

    async def many() -> None:
        with FaultyS3() as s3:
            store = S3RunStore(RUN, environment=s3.environment, credentials=provider)
            await asyncio.gather(*[store.put(f"a/{number}", [b"x"]) for number in range(50)])

    asyncio.run(many())
    assert len(asked) == 1
