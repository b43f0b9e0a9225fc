"""Keys and signatures: what is bound to what, and what is never shown."""

from __future__ import annotations

import hmac
import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import JobSeal, RunLocation, RunSeal, Seal, SubmissionSeal, hashing
from scaler_batch.payload.errors import AlteredError, ContractError, UnsignedError
from scaler_batch.payload.keys import OutcomeKey, parse_outcome_key
from scaler_batch.payload.seals import KEY_SIZE, encode_facts

SECRET = bytes(range(KEY_SIZE))
KEY = Seal(SECRET)
RUN = RunLocation("bucket", "prefix", "run-1", "us-east-1")
facts = st.lists(st.none() | st.integers(-5, 5) | st.text(max_size=3), max_size=3).map(tuple)


def job(run: RunLocation = RUN, sequence: int = 7, child: int | None = 3, key: Seal = KEY) -> JobSeal:
    return RunSeal(run, key).submission(sequence).job(child)


@given(facts, st.lists(st.binary(max_size=100), max_size=3))
def test_a_signature_is_that_of_the_standard_library(about: tuple[int | str | None, ...], body: list[bytes]) -> None:
    domain, context = b"scaler-batch sign", encode_facts(*about)
    sizes = [len(part).to_bytes(4, "little") for part in (domain, context)]
    message = sizes[0] + domain + sizes[1] + context + b"".join(body)
    assert KEY.sign(about, body) == hmac.digest(SECRET, message, "sha256")


def test_a_large_body_is_signed_as_a_small_one_is() -> None:
    body = bytes(range(256)) * 200
    whole, split = KEY.sign(("a",), [body]), KEY.sign(("a",), [body[:1000], body[1000:]])
    context = encode_facts("a")
    sizes = [len(part).to_bytes(4, "little") for part in (b"scaler-batch sign", context)]
    message = sizes[0] + b"scaler-batch sign" + sizes[1] + context + body
    assert whole == split == hmac.digest(SECRET, message, "sha256")


@given(facts, facts)
def test_no_two_lists_of_facts_are_written_alike(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    alike = [(type(fact), fact) for fact in one] == [(type(fact), fact) for fact in other]
    assert (encode_facts(*one) == encode_facts(*other)) == alike


@given(facts, st.binary(max_size=50), st.integers(0, 49))
def test_what_was_signed_is_accepted_and_nothing_else(about: tuple[str, ...], body: bytes, at: int) -> None:
    signature = KEY.sign(about, [body])
    KEY.verify(about, body, signature)
    changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if at < len(body) else body + b"\0"
    for purpose, data, said in [
        (about, changed, signature),
        ((*about, None), body, signature),
        (about, body, signature[:-1]),
        (about, body, b""),
        (about, body, bytes(KEY_SIZE)),
    ]:
        with pytest.raises(UnsignedError):
            KEY.verify(purpose, data, said)


def test_keys_signatures_and_names_are_made_apart() -> None:
    """What is shown, a signature or a name, is never a key."""
    made = {KEY.sign(("a",), []), KEY.derive("a")._key}
    assert len(made) == 2
    assert not any(each.startswith(bytes.fromhex(KEY.name("a"))) for each in made)


OBJECTS: list[Callable[[], JobSeal]] = [
    job,
    lambda: job(child=4),
    lambda: job(child=None),
    lambda: job(sequence=8),
    lambda: job(run=RUN._replace(run_id="run-2")),
    lambda: job(run=RUN._replace(bucket="other")),
    lambda: job(key=Seal(bytes(KEY_SIZE))),
]


def test_what_one_job_has_signed_no_other_has() -> None:
    key = job().outcome_key()
    signed = b"".join(job().sign(key, [b"envelope"]))
    assert job().open(key, signed) == b"envelope"
    for other in OBJECTS[1:]:
        with pytest.raises(UnsignedError):
            other().open(key, signed)


def test_what_was_signed_for_one_place_is_nothing_at_another() -> None:
    own = job()
    places = [own.outcome_key(), own.outcome_key(1), own.outcome_key(0, 1), own.interruption_key(1), "letters/7.3/1"]
    for here, there in itertools.permutations(places, 2):
        with pytest.raises(UnsignedError):
            own.open(there, b"".join(own.sign(here, [b"envelope"])))


@pytest.mark.parametrize("signed", [b"", b"short", bytes(KEY_SIZE), bytes(1000)])
def test_what_nobody_has_signed_is_refused(signed: bytes) -> None:
    with pytest.raises(UnsignedError):
        job().open(job().outcome_key(), signed)


def test_a_job_knows_its_own_names_and_no_other() -> None:
    own = job()
    names = [own.outcome_key(first, place) for first in range(3) for place in range(3)]
    names += [own.interruption_key(attempt) for attempt in range(3)]
    assert len(set(names)) == len(names)
    for name in names:
        found = parse_outcome_key(name)
        assert own.owns(found)
        assert not any(other().owns(found) for other in OBJECTS[1:])
        for place in (found.place + 1, found.place + 2):
            assert not own.owns(found._replace(place=place))
        assert not own.owns(found._replace(first=99))
        assert not own.owns(found._replace(name="0" * 32))
    assert not own.owns(OutcomeKey(7, 3, 0, 0, ""))


def test_the_runner_has_the_same_keys_as_the_manager_from_the_key_of_the_submission() -> None:
    told = RunSeal(RUN, KEY).submission(7).key.reveal()
    assert len(told) == 43
    there = SubmissionSeal(str(RunLocation.parse(str(RUN))), 7, Seal.parse(told)).job(3)
    assert there.outcome_key() == job().outcome_key()
    assert job().open("key", b"".join(there.sign("key", [b"envelope"]))) == b"envelope"


def test_a_new_key_is_another_each_time() -> None:
    assert Seal.new().reveal() != Seal.new().reveal()


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_size_is_refused(key: bytes) -> None:
    with pytest.raises(ContractError):
        Seal(key)


@given(st.text() | st.text("ABCDab01+/=-_", min_size=42, max_size=44))
def test_any_text_is_a_key_or_a_contract_error_that_does_not_repeat_it(text: str) -> None:
    for parse in (Seal.parse, Seal.from_hex):
        said = ""
        try:
            parse(text)
        except ContractError as error:
            said = str(error)
        assert len(text) < 8 or text not in said


def test_a_key_of_people_is_64_hex_digits() -> None:
    assert Seal.from_hex(f" {SECRET.hex().upper()}\n").reveal() == KEY.reveal()
    for text in ("", SECRET.hex()[1:], f"{SECRET.hex()}0", "x" * 64, f"{SECRET.hex()[:32]} {SECRET.hex()[32:-1]}"):
        with pytest.raises(ContractError, match="64 hex digits"):
            Seal.from_hex(text)


def test_no_text_of_a_key_is_shown() -> None:
    shown = repr([KEY, job(), RunSeal(RUN, KEY), RunSeal(RUN, KEY).submission(7)]) + f"{KEY} {KEY!s} {job()}"
    for secret in (KEY.reveal(), SECRET.hex(), repr(SECRET), RunSeal(RUN, KEY).submission(7).key.reveal()):
        assert secret not in shown
    assert KEY.fingerprint not in KEY.reveal()
    assert len(KEY.fingerprint) == 16


def test_the_two_ways_to_hash_tell_the_same() -> None:
    """Python's own, which loads at once, and OpenSSL's, which large bytes are worth."""
    script = (
        "import sys; from scaler_batch.payload import hashing, Seal; small = b'x' * 1000;"
        "print(hashing.digest(small), Seal(bytes(32)).sign(('a', 1), [small]).hex(), '_hashlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said, signature, loaded = run.stdout.split()
    assert loaded == "False"
    assert said == hashing.digest(b"x" * 1000)
    assert signature == Seal(bytes(32)).sign(("a", 1), [b"x" * 1000]).hex()


def test_bytes_are_compared_with_their_hash() -> None:
    hashing.check_digest(b"data", hashing.digest_of([b"da", b"", b"ta"]), "packs/1")
    with pytest.raises(AlteredError, match="packs/1 is not what the worker has put there"):
        hashing.check_digest(b"date", hashing.digest(b"data"), "packs/1")


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "\N{ARABIC-INDIC DIGIT SEVEN}" * 64])
def test_what_is_no_digest_is_none(text: str) -> None:
    assert not hashing.is_digest(text)
