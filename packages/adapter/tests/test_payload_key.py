"""The payload key: where it is found, and that it is shown to nobody."""

from __future__ import annotations

import logging
from pathlib import Path

import boto3
import pytest

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.payload_key import find_payload_key
from scaler_batch.adapter.provisioned import read_provisioned
from scaler_batch.payload import Seal

REGION = "eu-west-1"
DIGITS = bytes(range(32)).hex()
KEY = Seal.from_hex(DIGITS)


@pytest.fixture
def session(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return boto3.Session("key", "secret", region_name=REGION)


async def test_without_the_option_there_is_none(session: boto3.Session) -> None:
    assert await find_payload_key(None, session, REGION) is None


async def test_a_parameter_is_decrypted_and_logged_at_no_level(
    session: boto3.Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session.client("ssm").put_parameter(Name="/mine/payload-key", Value=DIGITS, Type="SecureString")
    caplog.clear()
    found = await find_payload_key("ssm:/mine/payload-key", session, REGION)
    assert found is not None
    assert found.reveal() == KEY.reveal()
    assert DIGITS not in caplog.text


async def test_a_file_is_read(tmp_path: Path, session: boto3.Session, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    path.write_text(f"{DIGITS}\n")
    path.chmod(0o600)
    found = await find_payload_key(f"file:{path}", session, REGION)
    assert found is not None
    assert found.reveal() == KEY.reveal()
    assert not caplog.text


async def test_a_file_that_others_can_read_is_warned_of(
    tmp_path: Path, session: boto3.Session, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "key"
    path.write_text(DIGITS)
    path.chmod(0o644)
    assert await find_payload_key(f"file:{path}", session, REGION)
    assert "chmod 600" in caplog.text
    assert DIGITS not in caplog.text


async def test_a_parameter_that_is_not_there_is_an_error_with_what_helps(session: boto3.Session) -> None:
    with pytest.raises(ResourceError, match=r"no parameter /mine/none in eu-west-1.*scaler-batch-provision"):
        await find_payload_key("ssm:/mine/none", session, REGION)


async def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, session: boto3.Session) -> None:
    with pytest.raises(ResourceError, match="cannot be read: No such file"):
        await find_payload_key(f"file:{tmp_path}/none", session, REGION)


@pytest.mark.parametrize("content", ["", DIGITS[1:], f"x{DIGITS[1:]}", f"{DIGITS}{DIGITS}", "é" * 32])
async def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, session: boto3.Session, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(ResourceError) as raised:
        await find_payload_key(f"file:{path}", session, REGION)
    assert "64 hex digits" in str(raised.value) or "is not text" in str(raised.value)
    assert not content or content not in str(raised.value)


def test_the_files_of_the_provisioner_say_where_it_is() -> None:
    lines = 'export SCALER_PAYLOAD_KEY="ssm:/scaler-batch/payload-key"'
    record = '{"region": "r", "resources": {"payload_key": {"name": "/scaler-batch/payload-key"}}}'
    for text in (lines, record):
        assert read_provisioned(text)["payload_key"][1] == "ssm:/scaler-batch/payload-key"
