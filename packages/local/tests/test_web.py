"""The way of a request through the layers, without a socket."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler_batch.local.errors import FaultError
from scaler_batch.local.services.listings import listing
from scaler_batch.local.services.naming import operation_of
from scaler_batch.local.web.callers import caller_of, service_of, signed_with
from scaler_batch.local.web.chain import Answer, Call, Disconnect, Front, Proceed
from scaler_batch.local.web.control import COUNTERS, PREFIX, ControlLayer, Order
from scaler_batch.local.web.counters import Counters, CountingLayer
from scaler_batch.local.web.keys import JOB_KEYS
from scaler_batch.local.web.metrics import exposition

JOB_KEY = f"{JOB_KEYS}ABCDEFGHIJKL"


def request(method: str = "GET", path: str = "/", query: str = "", body: bytes = b"", **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "1",
        "HTTP_HOST": "127.0.0.1:1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        **headers,
    }


def authorization(key: str = "KEY", service: str = "s3") -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )


FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.mark.parametrize(
    ("service", "environ", "operation"),
    [
        ("batch", request("POST", "/v1/submitjob"), "SubmitJob"),
        ("batch", request("POST", "/v1/describejobs"), "DescribeJobs"),
        ("batch", request("POST", "/v1/terminatejobs"), "TerminateJobs"),
        ("s3", request("PUT", "/bucket"), "CreateBucket"),
        ("s3", request("PUT", "/bucket/a/b"), "PutObject"),
        ("s3", request("PUT", "/bucket/a/b", HTTP_X_AMZ_COPY_SOURCE="/bucket/c"), "CopyObject"),
        ("s3", request("GET", "/bucket/a%2Fb"), "GetObject"),
        ("s3", request("GET", "/bucket/a", "partNumber=1"), "GetObject"),
        ("s3", request("HEAD", "/bucket/a"), "HeadObject"),
        ("s3", request("DELETE", "/bucket/a"), "DeleteObject"),
        ("s3", request("GET", "/bucket", "list-type=2&prefix=a%2F"), "ListObjectsV2"),
        ("s3", request("GET", "/bucket", "prefix=a"), "ListObjects"),
        ("s3", request("POST", "/bucket", "delete"), "DeleteObjects"),
        ("s3", request("GET", "/"), "ListBuckets"),
        ("logs", request("POST", HTTP_X_AMZ_TARGET="Logs_20140328.GetLogEvents"), "GetLogEvents"),
        ("sts", request("POST", body=b"Action=GetCallerIdentity&Version=2011-06-15", **FORM), "GetCallerIdentity"),
        ("iam", request("GET", "/", "Action=ListRoles"), "ListRoles"),
        ("batch", request("POST", "/v1/unheardof"), "Unknown"),
        ("nonsense", request("POST", "/"), "Unknown"),
        ("../../etc", request("POST", "/"), "Unknown"),
    ],
)
def test_operations_are_named_by_awss_own_rules(service: str, environ: dict[str, Any], operation: str) -> None:
    assert operation_of(service, environ) == operation


def test_a_form_that_was_looked_at_can_still_be_read() -> None:
    environ = request("POST", body=b"Action=ListRoles", **FORM)
    operation_of("iam", environ)
    assert environ["wsgi.input"].read() == b"Action=ListRoles"


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"HTTP_USER_AGENT": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1"}, "user/boto3"),
        ({"HTTP_USER_AGENT": "Boto3/1.44.5 ua/2.1 app/adapter cfg/retry-mode#legacy"}, "user/adapter"),
        ({"HTTP_USER_AGENT": "object_store/0.12", "HTTP_AUTHORIZATION": authorization(JOB_KEY)}, "job/object_store"),
        ({"HTTP_USER_AGENT": "aws-cli/2.1 app/", "HTTP_AUTHORIZATION": "nonsense"}, "user/aws-cli"),
        ({}, "user/unknown"),
    ],
)
def test_callers_are_told_apart(headers: dict[str, str], caller: str) -> None:
    assert caller_of(request(**headers)) == caller


def test_a_presigned_address_tells_as_much_as_a_header() -> None:
    environ = request(
        query=f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={JOB_KEY}%2F20260101%2Feu-west-1%2Fbatch%2Faws4_request"
    )
    assert (signed_with(environ), service_of(environ)) == (JOB_KEY, "batch")


def test_what_is_not_signed_is_taken_for_s3() -> None:
    assert (signed_with(request()), service_of(request())) == (None, "s3")


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK" if environ["PATH_INFO"] == "/good" else "503 Service Unavailable", [("A", "b")])
    return [b"a", b"b"]


def understood(environ: dict[str, Any]) -> Call:
    return Call("s3", "PutObject", "user/test", environ)


def ask(front: Front, path: str, method: str = "GET") -> tuple[str, bytes]:
    said: list[str] = []
    body = front(request(method, path), lambda status, headers: said.append(status))  # type: ignore[arg-type]
    return said[0], b"".join(body)


def test_layers_see_a_call_from_the_outside_in_and_its_answer_from_the_inside_out() -> None:
    seen: list[str] = []

    def layer(name: str) -> Any:
        def look(call: Call, proceed: Proceed) -> Answer:
            seen.append(f"{name} sees {call.name}")
            answer = proceed()
            seen.append(f"{name} sees {answer.status}")
            return answer

        return look

    assert ask(Front(application, understood, [layer("outer"), layer("inner")]), "/good") == ("200 OK", b"ab")
    assert seen == [
        "outer sees s3.PutObject",
        "inner sees s3.PutObject",
        "inner sees 200 OK",
        "outer sees 200 OK",
    ]


def test_a_layer_can_answer_instead() -> None:
    front = Front(application, understood, [lambda call, proceed: Answer("429 Slow Down", [], [b"later"])])
    assert ask(front, "/good") == ("429 Slow Down", b"later")


def test_a_layer_can_ask_for_the_connection_to_be_closed() -> None:
    def drop(call: Call, proceed: Proceed) -> Answer:
        raise Disconnect

    with pytest.raises(Disconnect):
        ask(Front(application, understood, [drop]), "/good")


def test_calls_and_failures_are_counted() -> None:
    counting = CountingLayer()
    front = Front(application, understood, [counting])
    for path in ("/good", "/good", "/bad"):
        ask(front, path)
    counted = counting.counters()
    assert counted.operations == {"s3.PutObject": 3}
    assert counted.callers == {"user/test": {"s3.PutObject": 3}}
    assert counted.errors == {"s3.PutObject": 1}
    assert counted.total == 3
    counting.reset()
    assert counting.counters().total == 0


def test_a_call_is_counted_even_when_it_is_never_answered() -> None:
    counting = CountingLayer()

    def drop(call: Call, proceed: Proceed) -> Answer:
        raise Disconnect

    with pytest.raises(Disconnect):
        ask(Front(application, understood, [counting, drop]), "/good")
    assert counting.counters().total == 1


def test_the_servers_own_paths_are_answered_before_anything_is_counted() -> None:
    counting = CountingLayer()
    control = ControlLayer({("GET", COUNTERS): lambda order: {"total": counting.counters().total}})
    front = Front(application, understood, [control, counting])
    assert ask(front, COUNTERS) == ("200 OK", b'{"total": 0}')
    assert ask(front, COUNTERS, "POST")[0] == "404 Not Found"
    status, body = ask(front, f"{PREFIX}nothing")
    assert (status, json.loads(body)) == ("404 Not Found", {"paths": [COUNTERS]})
    assert ask(front, "/good")[0] == "200 OK"


def test_a_listing_is_written_as_xml() -> None:
    result = {
        "Name": "b",
        "IsTruncated": False,
        "Contents": [{"Key": 'a<&">', "Size": 1, "Owner": {"ID": "x"}}, {"Key": "ö", "Size": 2}],
        "NextContinuationToken": None,
    }
    assert listing(result).partition("<Name>")[2] == (
        "b</Name><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a&lt;&amp;&quot;&gt;</Key><Size>1</Size><Owner><ID>x</ID></Owner></Contents>"
        "<Contents><Key>ö</Key><Size>2</Size></Contents></ListBucketResult>"
    )


def test_counters_are_exposed_as_prometheus_reads_them() -> None:
    counters = Counters({"s3.PutObject": 3}, {'user/a"b': {"s3.PutObject": 3}}, {"s3.PutObject": 1})
    text = exposition(counters)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.content.decode())
        for sample in family.samples
    }
    names = ("operation", "PutObject"), ("service", "s3")
    assert samples == {
        ("scaler_batch_local_calls_total", ("caller", 'user/a"b'), *names): 3.0,
        ("scaler_batch_local_errors_total", *names): 1.0,
    }
    assert text.kind.startswith("text/plain; version=0.0.4")


def test_what_an_action_refuses_is_a_bad_request() -> None:
    def refuse(order: Order) -> dict[str, Any]:
        raise FaultError(f"no {order.body.decode()} {order.query['a']}")

    front = Front(application, understood, [ControlLayer({("POST", COUNTERS): refuse})])
    said: list[str] = []
    environ = request("POST", COUNTERS, "a=1", b"thunder")
    body = front(environ, lambda status, headers: said.append(status))  # type: ignore[arg-type]
    assert (said, json.loads(b"".join(body))) == (["400 Bad Request"], {"error": "no thunder ['1']"})
