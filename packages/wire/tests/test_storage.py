"""The conversation with the storage, with the storage played by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.errors import LocalProtocolError, RemoteProtocolError
from scaler_batch.wire.storage import (
    ANY_LENGTH,
    Answer,
    AnswerKind,
    Header,
    Request,
    RequestKind,
    StorageSession,
    TooLarge,
    decode_source,
    encode_source,
)

ONE, TWO = b"1" * 32, b"2" * 32
object_ids = st.binary(min_size=32, max_size=32)


def answer(number: int, kind: AnswerKind, payload: bytes = b"", object_id: bytes = ONE) -> list[bytes]:
    header = Header(len(payload), number, kind, object_id).encode()
    return [header, payload] if payload else [header]


def hear(session: StorageSession, *messages: bytes) -> list[Answer | TooLarge]:
    return [found for found in map(session.receive, messages) if found is not None]


@given(st.integers(0, ANY_LENGTH), st.integers(0, ANY_LENGTH), st.integers(0, 2**16 - 1), object_ids)
def test_a_header_comes_back_as_it_was(length: int, number: int, kind: int, object_id: bytes) -> None:
    header = Header(length, number, kind, object_id)
    assert Header.decode(header.encode()) == header


@given(object_ids)
def test_a_source_comes_back_as_it_was(object_id: bytes) -> None:
    assert decode_source(encode_source(object_id)) == object_id


def test_each_kind_of_request_has_its_messages() -> None:
    session = StorageSession()
    requests = [
        (Request(RequestKind.SET, ONE, (b"ab", b"c")), 3, [b"ab", b"c"]),
        (Request(RequestKind.SET, ONE), 0, []),
        (Request(RequestKind.GET, ONE), ANY_LENGTH, None),
        (Request(RequestKind.GET, ONE, limit=10), 10, None),
        (Request(RequestKind.DELETE, ONE), 0, None),
        (Request(RequestKind.DUPLICATE, ONE, source_id=TWO), 48, [encode_source(TWO)]),
        (Request(RequestKind.INFO), 0, None),
    ]
    for request, length, payload in requests:
        number = session.submit(request)
        (header,), *rest = session.messages(number)
        assert Header.decode(bytes(header)) == Header(length, number, request.kind, request.object_id)
        assert [list(parts) for parts in rest] == ([] if payload is None else [payload])


def test_answers_find_their_requests_in_any_order() -> None:
    session = StorageSession()
    first = session.submit(Request(RequestKind.GET, ONE))
    second = session.submit(Request(RequestKind.GET, TWO))
    third = session.submit(Request(RequestKind.DELETE, TWO))
    assert hear(
        session,
        *answer(third, AnswerKind.NOT_THERE),
        *answer(second, AnswerKind.GOT, b"two"),
        *answer(first, AnswerKind.GOT, b""),
    ) == [
        Answer(third, AnswerKind.NOT_THERE, b""),
        Answer(second, AnswerKind.GOT, b"two"),
        Answer(first, AnswerKind.GOT, b""),
    ]
    assert session.outstanding == ()


def test_the_answer_to_a_forgotten_request_is_dropped_with_its_payload() -> None:
    session = StorageSession()
    first, second = (session.submit(Request(RequestKind.GET, object_id)) for object_id in (ONE, TWO))
    session.forget(first)
    assert hear(session, *answer(first, AnswerKind.GOT, b"x" * 80), *answer(second, AnswerKind.GOT, b"two")) == [
        Answer(second, AnswerKind.GOT, b"two")
    ]
    assert session.messages(first) == []


def test_a_request_may_be_forgotten_between_header_and_payload() -> None:
    session = StorageSession()
    number = session.submit(Request(RequestKind.GET, ONE))
    header, payload = answer(number, AnswerKind.GOT, b"content")
    session.receive(header)
    session.forget(number)
    assert session.receive(payload) is None


def test_an_answer_larger_than_accepted_is_refused_when_it_is_announced() -> None:
    session = StorageSession(max_object=10)
    first, second = (session.submit(Request(RequestKind.GET, ONE)) for _ in range(2))
    assert session.receive(answer(first, AnswerKind.GOT, bytes(11))[0]) == TooLarge(first, ONE, 11)
    assert session.outstanding == (second,)


def test_after_a_restart_half_an_answer_is_void_and_requests_can_be_made_again() -> None:
    session = StorageSession()
    number = session.submit(Request(RequestKind.GET, ONE))
    header, payload = answer(number, AnswerKind.GOT, b"content")
    session.receive(header)
    session.restart()
    assert session.outstanding == (number,)
    assert hear(session, header, payload) == [Answer(number, AnswerKind.GOT, b"content")]


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([b""], "80 bytes, not 0"),
        ([bytes(79)], "80 bytes, not 79"),
        ([bytes(80)], "not made like one"),
        ([answer(1, AnswerKind.SET)[0][:40] + bytes(40)], "not made like one"),
        (answer(0, AnswerKind.GOT), "request 0, which was never made"),
        (answer(2, AnswerKind.GOT), "request 2, which was never made"),
        (answer(1, AnswerKind.SET), "GET is answered by kind 0"),
        ([Header(0, 1, 99, ONE).encode()], "GET is answered by kind 99"),
        (answer(1, AnswerKind.GOT, b"x" * 11), "10 bytes at most were asked for, 11"),
        ([answer(1, AnswerKind.GOT, b"xx")[0], b"xxx"], "2 bytes was announced, 3 came"),
        (answer(1, AnswerKind.GOT, b"xx") * 2, None),
    ],
)
def test_an_answer_to_nothing_that_was_asked_is_refused(messages: list[bytes], complaint: str | None) -> None:
    session = StorageSession()
    session.submit(Request(RequestKind.GET, ONE, limit=10))
    if complaint is None:  # a second answer to the same request is like one to a forgotten request
        assert len(hear(session, *messages)) == 1
    else:
        with pytest.raises(RemoteProtocolError, match=complaint):
            hear(session, *messages)


@pytest.mark.parametrize(
    "request_",
    [
        Request(RequestKind.GET, b"short"),
        Request(RequestKind.DUPLICATE, ONE, source_id=b""),
        Request(RequestKind.GET, ONE, limit=-1),
        Request(RequestKind.GET, ONE, limit=2**64),
    ],
)
def test_a_request_that_cannot_be_made_is_our_own_mistake(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        StorageSession().submit(request_)


@pytest.mark.parametrize("payload", [b"", bytes(47), bytes(48)])
def test_a_source_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="source of a duplicate"):
        decode_source(payload)
