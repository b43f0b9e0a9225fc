"""Who may ask: names, pages, keys and signatures, without a socket."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from scaler_batch.local.web.callers import SSO_TOKEN, service_of, signed_with
from scaler_batch.local.web.control import COUNTERS, HEALTH
from scaler_batch.local.web.guard import ADVICE, LARGEST_OBJECT, LARGEST_REQUEST, Guard, Hosts
from scaler_batch.local.web.keys import AccessKey, Keys
from scaler_batch.local.web.signatures import has_expired, is_signed_with, signature_of

KEYS = Keys()
HOST = "127.0.0.1:4566"
SIGNERS = {"header": S3SigV4Auth, "query": S3SigV4QueryAuth}


@pytest.fixture
def guard() -> Guard:
    return Guard(Hosts(), KEYS.user.secret, KEYS.secret_of)


def environ_of(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> dict[str, Any]:
    """A request as the HTTP server has it."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "wsgi.input": io.BytesIO(body),
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    return environ


def signed(
    method: str = "GET",
    target: str = "/bucket/key",
    *,
    body: bytes = b"",
    key: AccessKey = KEYS.user,
    service: str = "s3",
    signer: Any = S3SigV4Auth,
    **headers: str,
) -> dict[str, Any]:
    """A request that botocore has signed."""
    named = {"Host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = AWSRequest(method, f"http://{HOST}{target}", data=body, headers=named)
    signer(Credentials(key.id, key.secret), service, "us-east-1").add_auth(request)
    address = urlsplit(request.url)
    sent = f"{address.path}?{address.query}" if address.query else address.path
    return environ_of(method, sent, dict(request.headers.items()), body)


def code(guard: Guard, environ: dict[str, Any]) -> str | None:
    """How a request is refused: its status and what the answer says; None when it may pass."""
    answer = guard.screen(environ)
    return None if answer is None else f"{answer.status} {b''.join(answer.body).decode()}"


# Signatures: what botocore signs is what is checked


@pytest.mark.parametrize("way", SIGNERS)
@pytest.mark.parametrize("target", ["/", "/bucket", "/bucket/a//b/%C3%B6%20%2B%252F%26%3D%3F", "/bucket/a%2Fb/../c"])
def test_what_is_signed_for_s3_passes(guard: Guard, way: str, target: str) -> None:
    assert code(guard, signed(target=target, signer=SIGNERS[way])) is None


@pytest.mark.parametrize("query", ["list-type=2&prefix=a%2Fb%20c&delimiter=%2F", "delete=", "delete", "b=2&a=1&a=0"])
def test_queries_are_signed_whatever_their_order(guard: Guard, query: str) -> None:
    assert code(guard, signed(target=f"/bucket?{query}")) is None


def test_bodies_of_other_services_are_covered(guard: Guard) -> None:
    headers = {"Content_Type": "application/json", "X_Amz_Target": "Logs.X"}
    request = signed("POST", "/v1/tags/arn%3Aaws%3Abatch", body=b"{}", service="batch", signer=SigV4Auth, **headers)
    assert code(guard, request) is None
    assert request["wsgi.input"].read() == b"{}"
    request = signed("POST", "/v1/submitjob", body=b"{}", service="batch", signer=SigV4Auth)
    request["wsgi.input"] = io.BytesIO(b'{"jobName": "other"}')
    assert str(code(guard, request)).startswith("403")


@pytest.mark.parametrize(
    "change",
    [
        {"REQUEST_METHOD": "DELETE"},
        {"RAW_URI": "/bucket/other"},
        {"QUERY_STRING": "versionId=1"},
        {"HTTP_X_AMZ_META_A": "other"},
        {"HTTP_X_AMZ_DATE": "20200101T000000Z"},
        {"HTTP_HOST": "localhost:4566"},
    ],
)
def test_nothing_that_is_signed_can_be_changed(guard: Guard, change: dict[str, str]) -> None:
    request = {**signed(x_amz_meta_a="  two   blanks "), **change}
    assert str(code(guard, request)).startswith("403 Forbidden")


def test_the_host_has_to_be_signed() -> None:
    request = signed()
    signature = signature_of(request)
    assert signature is not None
    assert is_signed_with(KEYS.user.secret, signature, request)
    request["HTTP_AUTHORIZATION"] = request["HTTP_AUTHORIZATION"].replace("SignedHeaders=host;", "SignedHeaders=")
    del request["scaler_batch.signature"]
    signature = signature_of(request)
    assert signature is not None
    assert not is_signed_with(KEYS.user.secret, signature, request)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 SignedHeaders=host, Credential=K/20260101/us-east-1/s3/aws4_request, Signature=0",
        "AWS4-HMAC-SHA256 Credential=K/20260101/x/motoapi.amazonaws.com/aws4_request, SignedHeaders=host, Signature=0",
        "Bearer x",
        "\x00",
    ],
)
def test_what_is_not_a_signature_is_none_also_beside_one_in_the_query(guard: Guard, header: str) -> None:
    request = signed(signer=S3SigV4QueryAuth)
    request["HTTP_AUTHORIZATION"] = header
    assert (signature_of(request), service_of(request), signed_with(request)) == (None, "s3", None)
    assert "AccessDenied" in str(code(guard, request))


def test_an_address_has_its_time(guard: Guard) -> None:
    request = signed(signer=S3SigV4QueryAuth)
    signature = signature_of(request)
    assert signature is not None
    assert not has_expired(signature, request, 0)
    assert has_expired(signature, request, 1e11)
    for spoiled in ("X-Amz-Expires=soon", "X-Amz-Expires=-1", "X-Amz-Date=never"):
        name = spoiled.partition("=")[0]
        query = "&".join(part for part in request["QUERY_STRING"].split("&") if not part.startswith(name))
        assert has_expired(signature, {**request, "QUERY_STRING": f"{query}&{spoiled}"}, 0)
    old = signed()
    signature = signature_of(old)
    assert signature is not None
    assert not has_expired(signature, old, 1e11)


def test_a_signature_of_version_2_is_refused_with_the_fix() -> None:
    guard = Guard(Hosts(), "secret", KEYS.secret_of)
    assert "s3v4" in str(code(guard, environ_of("GET", "/b/k?AWSAccessKeyId=x&Signature=y", {"Host": HOST})))
    assert "s3v4" in str(code(guard, environ_of("GET", "/b/k", {"Host": HOST, "Authorization": "AWS x:y"})))


# Keys


def test_every_server_has_keys_of_its_own_and_every_role() -> None:
    other = Keys()
    made = [KEYS.user, KEYS.job, KEYS.of_role("arn:one"), KEYS.of_role("arn:two"), other.user, other.job]
    assert len({key.id for key in made}) == len({key.secret for key in made}) == len(made)
    assert {(len(key.id), len(key.secret)) for key in made} == {(20, 40)}
    assert KEYS.of_role("arn:one") == made[2]
    assert (KEYS.role_of(made[2].id), KEYS.role_of(KEYS.job.id), KEYS.role_of("x")) == ("arn:one", None, None)
    assert KEYS.secret_of(other.user.id) is None
    assert KEYS.user.secret not in repr(KEYS.user)


@pytest.mark.parametrize(
    ("service", "unknown", "wrong"),
    [
        ("s3", "403 Forbidden InvalidAccessKeyId", "403 Forbidden SignatureDoesNotMatch"),
        ("batch", "403 Forbidden UnrecognizedClientException", "403 Forbidden InvalidSignatureException"),
        ("sts", "403 Forbidden InvalidClientTokenId", "403 Forbidden SignatureDoesNotMatch"),
        ("ec2", "401 Unauthorized AuthFailure", "401 Unauthorized AuthFailure"),
        ("logs", "400 Bad Request UnrecognizedClientException", "400 Bad Request InvalidSignatureException"),
    ],
)
def test_keys_that_are_wrong_are_refused_in_awss_words_with_a_hint(
    guard: Guard, service: str, unknown: str, wrong: str
) -> None:
    for key, expected in ((Keys().user, unknown), (AccessKey(KEYS.user.id, "wrong"), wrong)):
        answer = guard.screen(signed(service=service, key=key, signer=S3SigV4Auth if service == "s3" else SigV4Auth))
        assert answer is not None
        said, headers = b"".join(answer.body).decode(), dict(answer.headers)
        assert f"{answer.status} " + expected.rpartition(" ")[2] == expected
        assert expected.rpartition(" ")[2] in said + headers.get("x-amzn-ErrorType", "")
        assert "scaler-batch-local env" in said


def test_bodies_have_a_size(guard: Guard) -> None:
    small = signed("PUT", "/bucket/key", body=b"x")
    assert code(guard, small) is None
    assert "EntityTooLarge" in str(code(guard, {**small, "CONTENT_LENGTH": str(LARGEST_OBJECT + 1)}))
    other = signed("POST", "/v1/submitjob", body=b"{}", service="batch", signer=SigV4Auth)
    assert str(code(guard, {**other, "CONTENT_LENGTH": str(LARGEST_REQUEST + 1)})).startswith("413")
    assert str(code(guard, {**other, "wsgi.input_terminated": True})).startswith("411")


def test_a_body_of_a_stranger_is_not_read(guard: Guard) -> None:
    request = signed("POST", "/v1/submitjob", body=b"{}", service="batch", signer=SigV4Auth, key=Keys().user)
    assert str(code(guard, request)).startswith("403")
    assert request["wsgi.input"].tell() == 0


# The server's own paths, and the portal


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        (HEALTH, None, "200"),
        (COUNTERS, "Bearer {user}", None),
        (COUNTERS, "bearer  {user} ", None),
        (COUNTERS, "Basic {user}", "401"),
        (COUNTERS, "Bearer {job}", "401"),
        (COUNTERS, "Bearer ", "401"),
        (COUNTERS, "Bearer \xff\u0100", "401"),
        (COUNTERS, None, "401"),
        (f"{HEALTH}/", None, "401"),
    ],
)
def test_the_servers_own_paths_are_for_whoever_has_the_secret(
    guard: Guard, path: str, authorization: str | None, status: str | None
) -> None:
    headers = {"Host": HOST}
    if authorization is not None:
        headers["Authorization"] = authorization.format(user=KEYS.user.secret, job=KEYS.job.secret)
    said = code(guard, environ_of("GET", path, headers))
    assert (said and said[:3]) == status


def test_the_portal_takes_one_token_whatever_else_is_signed(guard: Guard) -> None:
    request = signed("GET", "/federation/credentials?role_name=x")
    assert code(guard, {**request, SSO_TOKEN: KEYS.user.secret}) is None
    for wrong in ("local", "", KEYS.job.secret):
        assert str(code(guard, {**request, SSO_TOKEN: wrong})).startswith("401")


# Names and pages


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost:4566",
        "LOCALHOST",
        "s3.localhost",
        "my-bucket.s3.localhost:1",
        "my.bucket.127.0.0.1:1",
        "[::1]",
        "[::1]:4566",
    ],
)
def test_the_loopback_interface_has_these_names(host: str) -> None:
    assert host in Hosts()


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:4566",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1, evil.example",
        "127.0.0.1 evil.example",
        "127.0.0.1:80:80",
        "127.0.0.1:",
        "127.0.0.1:evil",
        "127.0.0.1:123456",
        "127.1",
        "127.0.0.2",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::1].evil.example",
        "::1",
        "localhost.",
        ".localhost",
        "-.localhost",
        "evil.example/.localhost",
        "evil.example#.localhost",
        "evil.example\\.localhost",
        "evil.example%00.localhost",
        "localhost\x00",
        "localhost\n",
        "\uff4cocalhost",
        "loc\u017falhost",
        "127\u30020\u30020\u30021",
        "s3.amazonaws.com",
    ],
)
def test_every_other_name_is_somebody_elses(guard: Guard, host: str) -> None:
    assert host not in Hosts()
    request = signed()
    request["HTTP_HOST"] = host
    assert str(code(guard, request)).startswith("421")


def test_more_names_can_be_accepted() -> None:
    hosts = Hosts(("[[]::2]", "*.example.org"))
    assert all(host in hosts for host in ("[::2]:1", "a.example.org", "A.b.Example.org:1", "localhost"))
    assert not any(host in hosts for host in ("example.org", "a.example.org.evil", "[::3]"))


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "http://evil.example/b", "//evil.example/b", "*", "", "b"])
def test_a_request_is_for_a_path(guard: Guard, target: str) -> None:
    request = signed()
    request["RAW_URI"] = target
    assert str(code(guard, request)).startswith("400")


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://{HOST}"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "Cross-Site"},
        {"Sec-Fetch-Site": ""},
    ],
)
def test_pages_are_not_answered_whatever_they_have_signed(guard: Guard, header: dict[str, str]) -> None:
    request = signed()
    ((name, value),) = header.items()
    request[f"HTTP_{name.upper().replace('-', '_')}"] = value
    assert str(code(guard, request)).startswith("403 Forbidden")
    health = environ_of("GET", HEALTH, {"Host": HOST, **header})
    assert "web pages are not answered" in str(code(guard, health))


def test_an_address_that_is_typed_is_no_page(guard: Guard) -> None:
    for site in ("none", "same-origin"):
        assert str(code(guard, environ_of("GET", HEALTH, {"Host": HOST, "Sec-Fetch-Site": site})))[:3] == "200"


def test_the_advice_names_a_command_that_is_there() -> None:
    from scaler_batch.local.cli import _parser

    assert 'eval "$(scaler-batch-local env)"' in ADVICE
    assert _parser().parse_args(["env"]).command.__name__ == "env"
