"""Whoever reaches the port of the local AWS, or a folder that it uses, without being its user.

Each attack is shown to fail, and the user to get on as before.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import boto3
import psutil
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.cli import main
from stack import Stack, read_exports

BUCKET = "of-the-user"
EVIL = "http://evil.example"
MADE_UP = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature={:064x}"
QUICK = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(slots=2, minimum_timeout=1)) as running:
        yield running


@pytest.fixture
def s3(aws: LocalAWS) -> Iterator[Any]:
    """The user's S3, with one object. That it is there afterwards shows that nobody has wiped or replaced it."""
    s3 = aws.client("s3")
    if BUCKET not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"the user's")
    yield s3
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"the user's"
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1
    s3.close()


def connect(aws: LocalAWS) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(aws.endpoint_url).netloc, timeout=20)


def ask(
    aws: LocalAWS, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """What is answered to a request of whoever."""
    with contextlib.closing(connect(aws)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def signed(aws: LocalAWS, key: tuple[str, str], method: str, path: str, service: str = "s3") -> Any:
    """The headers of a request without a body that is signed with a key."""
    request = AWSRequest(method, aws.endpoint_url + path)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(*key), service, "us-east-1").add_auth(request)
    return {name.replace("-", "_"): value for name, value in request.headers.items()}


def keys(aws: LocalAWS) -> tuple[str, str]:
    return aws.environment["AWS_ACCESS_KEY_ID"], aws.environment["AWS_SECRET_ACCESS_KEY"]


def raw(aws: LocalAWS, sent: bytes) -> bytes:
    """What is answered to these very bytes, to the end of the connection."""
    address = urlsplit(aws.endpoint_url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 20) as sock:
        sock.sendall(sent)
        with contextlib.suppress(ConnectionError):
            return b"".join(iter(lambda: sock.recv(65536), b""))
    return b""


# A page in the user's browser


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "2130706433"])
def test_a_page_whose_name_leads_here_runs_nothing_even_if_it_could_sign(aws: LocalAWS, s3: Any, host: str) -> None:
    definition = {
        "jobDefinitionName": "evil",
        "type": "container",
        "containerProperties": {"image": "x", "command": ["id"], "vcpus": 1, "memory": 64},
    }
    body = json.dumps(definition).encode()
    request = AWSRequest("POST", f"http://{host}/v1/registerjobdefinition", data=body, headers={"Host": host})
    SigV4Auth(Credentials(*keys(aws)), "batch", "us-east-1").add_auth(request)
    headers = {name.replace("-", "_"): value for name, value in request.headers.items()}
    assert ask(aws, "POST", "/v1/registerjobdefinition", body, **headers)[0] == 421
    with contextlib.closing(aws.client("batch")) as batch:
        assert batch.describe_job_definitions(jobDefinitionName="evil")["jobDefinitions"] == []


def test_two_names_in_one_request_are_none(aws: LocalAWS, s3: Any) -> None:
    health = "GET /_scaler_batch/health HTTP/1.1\r\n"
    for head in ("Host: localhost\r\nHost: evil.example\r\n", "Host: evil.example\r\nHost: localhost\r\n", ""):
        assert b" 200 " not in raw(aws, f"{health}{head}\r\n".encode()).partition(b"\r\n")[0]
    for method in ("GET", "OPTIONS"):
        absolute = f"{method} {EVIL}/_scaler_batch/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert b" 200 " not in raw(aws, absolute.encode()).partition(b"\r\n")[0]
    assert b" 200 " in raw(aws, f"{health}Host: localhost\r\n\r\n".encode()).partition(b"\r\n")[0]


def test_a_page_cannot_wipe_everything(aws: LocalAWS, s3: Any) -> None:
    for path in ("/moto-api/reset", "/%6doto-api/reset", "/moto-api/reset-auth", "/moto-api/seed?a=1"):
        assert ask(aws, "POST", path, b"", Content_Type="text/plain")[0] in {400, 403}
    assert ask(aws, "POST", "/_scaler_batch/reset", b"", Content_Type="text/plain")[0] == 401


def test_a_job_cannot_wipe_everything(aws: LocalAWS, s3: Any) -> None:
    """It has a key of its own, which the server's own paths and moto's do not take."""
    user = aws.client("iam")
    user.create_user(UserName="wiper")
    made = user.create_access_key(UserName="wiper")["AccessKey"]
    user.close()
    key = made["AccessKeyId"], made["SecretAccessKey"]
    for service in ("s3", "motoapi", "moto-api"):
        said = ask(aws, "POST", "/moto-api/reset", **signed(aws, key, "POST", "/moto-api/reset", service=service))
        assert said[0] >= 400
    assert ask(aws, "POST", "/_scaler_batch/reset", b"", Authorization=f"Bearer {key[1]}")[0] == 401


def test_a_form_of_a_page_stores_nothing(aws: LocalAWS, s3: Any) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nplanted\r\n'
    form += b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--x--\r\n'
    status, _, said = ask(aws, "POST", f"/{BUCKET}", form, Content_Type="multipart/form-data; boundary=x")
    assert status == 403
    assert b"AccessDenied" in said


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:3000"])
def test_no_page_is_told_that_it_may_read_or_is_answered(aws: LocalAWS, s3: Any, origin: str) -> None:
    asked = {"Origin": origin, "Access_Control_Request_Method": "PUT"}
    own = signed(aws, keys(aws), "GET", f"/{BUCKET}/key")
    said = [ask(aws, "OPTIONS", f"/{BUCKET}/key", **asked), ask(aws, "GET", f"/{BUCKET}/key", **own, Origin=origin)]
    said.append(ask(aws, "GET", f"/{BUCKET}/key", **own, Sec_Fetch_Site="cross-site"))
    for status, headers, body in said:
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]
        assert b"the user's" not in body
    plain = ask(aws, "GET", f"/{BUCKET}/key", **own)
    assert (plain[0], plain[2]) == (200, b"the user's")
    assert not [name for name in plain[1] if name.startswith("access-control")]


# Whoever has no key, or another


@pytest.mark.parametrize("service", ["s3", "batch", "iam", "motoapi"])
def test_an_authorization_that_is_made_up_opens_nothing(aws: LocalAWS, s3: Any, service: str) -> None:
    for path in (f"/{BUCKET}/key", "/v1/registerjobdefinition", "/moto-api/reset"):
        assert ask(aws, "POST", path, b"{}", Authorization=MADE_UP.format(service, 0))[0] in {400, 403}
    user = MADE_UP.format(service, 0).replace("AKIA", keys(aws)[0])  # the id alone is not enough
    assert ask(aws, "DELETE", f"/{BUCKET}/key", Authorization=user)[0] in {400, 403}


def test_what_is_not_signed_is_refused(aws: LocalAWS, s3: Any) -> None:
    for method, path in (("GET", f"/{BUCKET}/key"), ("PUT", f"/{BUCKET}/key"), ("POST", "/v1/submitjob"), ("GET", "/")):
        status, _, said = ask(aws, method, path, b"evil" if method == "PUT" else None)
        assert (status, b"AccessDenied" in said) == (403, True)


def test_a_key_of_another_server_or_account_is_refused_and_the_fix_is_named(aws: LocalAWS, s3: Any) -> None:
    foreign = [("AKIAIOSFODNN7EXAMPLE", "secret"), (keys(aws)[0], "secret"), ("LOCALUSERLOCALUSER00", "local")]
    for key, secret in foreign:
        session = boto3.Session(key, secret, region_name="us-east-1")
        for service, call in (("s3", "list_buckets"), ("batch", "describe_job_queues"), ("sts", "get_caller_identity")):
            with contextlib.closing(session.client(service, endpoint_url=aws.endpoint_url, config=QUICK)) as client:
                with pytest.raises(ClientError) as refusal:
                    getattr(client, call)()
                assert "scaler-batch-local env" in str(refusal.value)


def test_an_address_that_somebody_else_has_signed_opens_nothing(aws: LocalAWS, s3: Any) -> None:
    config = Config(signature_version="s3v4")
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-east-1")
    with contextlib.closing(session.client("s3", endpoint_url=aws.endpoint_url, config=config)) as foreign:
        wrong = foreign.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "key"})
    with contextlib.closing(aws.client("s3", config=config)) as own:
        right = own.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "key"})
        late = own.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "key"}, ExpiresIn=-1)
    changed = right.replace(f"/{BUCKET}/key", f"/{BUCKET}/other")
    statuses = {
        name: ask(aws, "GET", url.removeprefix(aws.endpoint_url))[0]
        for name, url in {"wrong": wrong, "changed": changed, "late": late, "right": right}.items()
    }
    assert statuses == {"wrong": 403, "changed": 403, "late": 403, "right": 200}


def test_the_portal_gives_keys_to_nobody_who_brings_any_token(aws: LocalAWS, s3: Any) -> None:
    path = "/federation/credentials?role_name=local&account_id=123456789012"
    status, _, said = ask(aws, "GET", path, X_Amz_Sso_Bearer_Token="local")
    own = signed(aws, keys(aws), "GET", path)
    both = ask(aws, "GET", path, **own, **{"X-Amz-Sso_Bearer_Token": "local"})
    for code, body in ((status, said), (both[0], both[2])):
        assert code in {401, 403}
        assert keys(aws)[1].encode() not in body


def test_the_servers_own_paths_are_closed_without_its_key(aws: LocalAWS, s3: Any) -> None:
    fault = b'{"faults": [{"kind": "ServerError", "calls": "*"}]}'
    for method, path, body in (
        ("GET", "counters", None),
        ("GET", "metrics", None),
        ("GET", "faults", None),
        ("POST", "faults", fault),
        ("POST", "clock", b'{"seconds": 3600}'),
        ("DELETE", "counters", None),
    ):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": MADE_UP.format("s3", 0)}):
            assert ask(aws, method, f"/_scaler_batch/{path}", body, **headers)[0] == 401
    assert aws.faults() == []
    status, _, said = ask(aws, "GET", "/_scaler_batch/health")
    assert (status, said) == (200, b'{"status": "ok"}')


def test_a_job_has_no_key_of_the_user_and_its_own_works(cloud: Stack) -> None:
    batch, logs = cloud.aws("batch"), cloud.aws("logs")
    program = "import boto3, os; print(os.environ['AWS_ACCESS_KEY_ID']); print(*os.environ.values());"
    program += "print(boto3.client('sts').get_caller_identity()['Account'])"
    batch.register_job_definition(
        jobDefinitionName="looks-around",
        type="container",
        containerProperties={"image": "x", "command": [sys.executable, "-c", program], "vcpus": 1, "memory": 256},
    )
    job = batch.submit_job(jobName="j", jobQueue=cloud.provisioned["SCALER_JOB_QUEUE"], jobDefinition="looks-around")[
        "jobId"
    ]
    described = wait_for_end(batch, job)
    stream = described["container"]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)["events"]
    said = "\n".join(event["message"] for event in events)
    assert said.startswith("LOCALJOB")
    assert said.endswith("123456789012")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert cloud.environment[name] not in said
    batch.close()
    logs.close()


def wait_for_end(batch: Any, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := batch.describe_jobs(jobs=[job])["jobs"][0])["status"] not in {"SUCCEEDED", "FAILED"}:
        assert time.monotonic() < deadline, found["status"]
        time.sleep(0.02)
    return dict(found)


# Whoever wants to use up what there is


def test_requests_that_are_begun_and_not_ended_hold_up_nobody(aws: LocalAWS, s3: Any) -> None:
    address = urlsplit(aws.endpoint_url)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    with contextlib.ExitStack() as held:
        for begun in (b"", head, head + b"\r\nhalf"):
            for _ in range(40):
                sock = held.enter_context(socket.create_connection((str(address.hostname), int(address.port or 0)), 20))
                sock.sendall(begun)
        begin = time.monotonic()
        assert ask(aws, "GET", "/_scaler_batch/health")[0] == 200
        assert s3.get_object(Bucket=BUCKET, Key="key")["ContentLength"] == 10
        assert time.monotonic() - begin < 5


def test_a_body_of_300_mib_takes_no_memory(aws: LocalAWS, s3: Any) -> None:
    server = psutil.Process(aws.pid)
    before, size = server.memory_info().rss, 300 << 20
    for authorization in ("", MADE_UP.format("s3", 0), MADE_UP.format("batch", 0)):
        with contextlib.closing(connect(aws)) as connection, contextlib.suppress(ConnectionError):
            connection.putrequest("PUT", f"/{BUCKET}/key")
            connection.putheader("Content-Length", str(size))
            connection.putheader("Authorization", authorization)
            connection.endheaders()
            for _ in range(size >> 20):
                connection.send(bytes(1 << 20))
    assert server.memory_info().rss - before < 32 << 20


def test_headers_without_end_are_refused(aws: LocalAWS, s3: Any) -> None:
    many = "".join(f"X-{number}: 1\r\n" for number in range(5_000))
    for head in (many, f"X: {'x' * 10_000_000}\r\n"):
        with contextlib.suppress(ConnectionError):
            said = raw(aws, f"GET /_scaler_batch/health HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
            assert b" 200 " not in said.partition(b"\r\n")[0]
    assert ask(aws, "GET", "/_scaler_batch/health")[0] == 200


# A job that wants more of this machine than a container has


class Engine(BaseHTTPRequestHandler):
    """As much of a Docker engine as it takes to hear which containers are wanted; it starts none."""

    wanted: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._say(
            [] if "/containers/json" in self.path else {"ApiVersion": "1.44", "Id": "x", "Config": {"Tty": False}}
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "/containers/create" in self.path:
            self.wanted.append(json.loads(body))
        self._say({"Id": "container", "message": "no"}, 201 if "/create" in self.path else 500)

    def do_DELETE(self) -> None:
        self._say({})

    def _say(self, what: object, status: int = 200) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    pytest.importorskip("docker")
    wanted: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listening", (Engine,), {"wanted": wanted}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    yield wanted
    server.shutdown()
    server.server_close()


ROOM = {"image": "x", "command": ["true"], "vcpus": 1, "memory": 64}
OUTSIDE = {
    "privileged": {"privileged": True},
    "directory": {
        "volumes": [{"name": "root", "host": {"sourcePath": "/"}}],
        "mountPoints": [{"sourceVolume": "root", "containerPath": "/host"}],
    },
    "device": {"linuxParameters": {"devices": [{"hostPath": "/dev/mem"}]}},
}


def test_a_job_definition_does_not_reach_out_of_its_container(engine: list[dict[str, Any]]) -> None:
    with LocalAWS(LocalSettings(jobs="docker")) as aws:
        queue = queue_of(aws)
        with contextlib.closing(aws.client("batch")) as batch:
            for name, more in {"honest": {}, **OUTSIDE}.items():
                batch.register_job_definition(
                    jobDefinitionName=name, type="container", containerProperties={**ROOM, **more}
                )
                job = batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=name)["jobId"]
                reason = wait_for_end(batch, job)["container"]["reason"]
                assert ("refused by the local AWS" in reason) == (name != "honest")
                assert ("--allow-privileged" in reason) == (name == "privileged")
    (made,) = engine
    assert not made["HostConfig"].get("Privileged")
    assert not made["HostConfig"].get("Binds")


def test_whoever_asks_for_privileged_containers_gets_them(engine: list[dict[str, Any]]) -> None:
    with LocalAWS(LocalSettings(jobs="docker", allow_privileged=True)) as aws:
        queue = queue_of(aws)
        with contextlib.closing(aws.client("batch")) as batch:
            batch.register_job_definition(
                jobDefinitionName="asked", type="container", containerProperties={**ROOM, "privileged": True}
            )
            job = batch.submit_job(jobName="asked", jobQueue=queue, jobDefinition="asked")["jobId"]
            wait_for_end(batch, job)
    assert engine[0]["HostConfig"]["Privileged"]


def queue_of(aws: LocalAWS) -> str:
    from scaler_batch.local.resources import Wanted, make

    make(Wanted(queue="line"), aws.environment)
    return "line"


# Somebody else on this machine


class Done(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


def local(command: str, directory: Path) -> Done:
    """Run a command of the local AWS to its end; ``up`` in a process of its own, because it should not have one."""
    words = [command, "--state-dir", str(directory)]
    if command == "up":
        program = [sys.executable, "-m", "scaler_batch.local", *words, "--bare", "--jobs", "spawn"]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(words)
    return Done(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def up(directory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A local AWS with this state directory, once it has said where it is."""
    command = [sys.executable, "-m", "scaler_batch.local", "up", "--bare", "--jobs", "spawn", *options]
    with subprocess.Popen(
        [*command, "--state-dir", str(directory)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("export AWS_ENDPOINT_URL=")
            yield server
        finally:
            server.kill()


def test_a_state_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    planted.chmod(0o777)
    for command in ("up", "status", "env", "down", "reset"):
        done = local(command, planted)
        assert (done.code, done.out) == (1, "")
        assert f"chmod 700 {planted}" in done.err
    assert list(planted.iterdir()) == []
    planted.chmod(0o700)
    with up(planted):
        assert local("status", planted).code == 0


def test_a_link_in_place_of_the_state_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    for command in ("up", "env", "down"):
        done = local(command, tmp_path / "link")
        assert (done.code, done.out) == (1, "")
        assert "is a link" in done.err
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.parametrize("how", ["symlink_to", "hardlink_to"])
def test_a_link_in_place_of_the_state_file_truncates_nothing(tmp_path: Path, how: str) -> None:
    precious, directory = tmp_path / "precious", tmp_path / "state"
    precious.write_text("precious")
    precious.chmod(0o600)
    directory.mkdir(mode=0o700)
    getattr(directory / "server.json", how)(precious)
    done = local("up", directory)
    assert (done.code, done.out) == (1, "")
    assert "remove it" in done.err
    assert precious.read_text() == "precious"
    (directory / "server.json").unlink()
    with up(directory):
        assert local("status", directory).code == 0


@contextlib.contextmanager
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user's that has nothing to do with it."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_down_signals_no_process_that_a_planted_file_names(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with bystander() as victim, up(directory) as server:
        file = directory / "server.json"
        told = json.loads(file.read_text())
        for pid in (victim.pid, 1, os.getppid()):
            file.write_text(json.dumps({**told, "pid": pid}))
            done = local("down", directory)
            assert done.code == 1
            assert "left alone" in done.err
        for pid in (-1, 0, True, "1", 2**70):
            file.write_text(json.dumps({**told, "pid": pid}))
            assert local("down", directory).code in {0, 1}
        assert (victim.poll(), server.poll()) == (None, None)
        file.write_text(json.dumps(told))
        assert local("down", directory).code == 0
        assert (server.wait(20), victim.poll()) == (0, None)


HOSTILE = ["$(touch {0})", "`touch {0}`", '"; touch {0}; "', "'; touch {0}; '", '\\" $(touch {0})', "a b\\"]


def test_values_in_exports_are_values_and_names_are_names(tmp_path: Path) -> None:
    directory, ran, exports = tmp_path / "state", tmp_path / "ran", tmp_path / "exports"
    with up(directory):
        file = directory / "server.json"
        told = json.loads(file.read_text())
        for hostile in (value.format(ran) for value in HOSTILE):
            file.write_text(json.dumps({**told, "variables": {**told["variables"], "SCALER_S3_BUCKET": hostile}}))
            exports.write_text(local("env", directory).out)
            assert read_exports(exports)["SCALER_S3_BUCKET"] == hostile
            assert not ran.exists()
        for name in ("A;touch {0};B", "a", "A B", "A=$(touch {0})", "A\n"):
            file.write_text(json.dumps({**told, "variables": {name.format(ran): "x"}}))
            assert local("env", directory).out == ""


def test_no_control_characters_come_from_the_state_file(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with up(directory):
        file = directory / "server.json"
        told = json.loads(file.read_text())
        for value in ("\x1b]0;title\x07", "\u202e", "\x9b31m"):
            file.write_text(json.dumps({**told, "variables": {**told["variables"], "A": value}}))
            assert local("env", directory).out == ""
        file.write_text(json.dumps(told))
        assert local("env", directory).out.count("export ") == len(told["variables"])


def test_the_keys_are_the_users_alone_where_they_are_written(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with up(tmp_path / "state", "--env-file", str(tmp_path / "aws.env")):
            places = (tmp_path / "state", tmp_path / "state" / "server.json", tmp_path / "aws.env")
            assert [oct(place.stat().st_mode & 0o777) for place in places] == ["0o700", "0o600", "0o600"]
            exported = read_exports(tmp_path / "aws.env")
    finally:
        os.umask(before)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= exported.keys()
    assert quote(exported["AWS_ACCESS_KEY_ID"]).startswith("LOCALUSER")
