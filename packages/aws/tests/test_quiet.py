"""Requests and answers stay out of logs, whatever level somebody sets and wherever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from scaler_batch.aws.quiet import TALKATIVE, quiet_dependencies

MARKER = "what-only-the-task-knows"


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    loggers = [found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
    before = {logger: (logger.level, list(logger.filters)) for logger in [logging.getLogger("asyncio"), *loggers]}
    for name in TALKATIVE:  # whoever ran before in this process may have silenced them
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for logger, (level, filters) in before.items():
        logger.setLevel(level)
        logger.filters[:] = filters


def submit_a_job() -> None:
    """Send a request with the marker in it, as far as the wire."""
    client = boto3.client("batch", "eu-west-1", aws_access_key_id="AKIDMARKER", aws_secret_access_key="secret")

    def answer(**_: object) -> AWSResponse:
        class Raw:
            def stream(self) -> Iterator[bytes]:
                yield b'{"jobName": "n", "jobId": "i"}'

        return AWSResponse("https://batch", 200, {}, Raw())

    client.meta.events.register("before-send.batch.*", answer)
    client.submit_job(jobName="n", jobQueue="q", jobDefinition="d", parameters={"pack": MARKER})


def test_without_it_botocore_shows_the_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    submit_a_job()
    assert MARKER in caplog.text
    assert "AKIDMARKER" in caplog.text


@pytest.mark.parametrize("loud", ["", "botocore", "botocore.endpoint", "botocore.auth", "urllib3", "asyncio"])
def test_neither_payloads_nor_credentials_are_shown_whichever_logger_is_set_to_debug(
    caplog: pytest.LogCaptureFixture, loud: str
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger(loud).setLevel(logging.DEBUG)
    quiet_dependencies()
    submit_a_job()
    assert MARKER not in caplog.text
    assert "AKIDMARKER" not in caplog.text
    assert "Authorization" not in caplog.text


def test_what_was_silenced_further_stays_so() -> None:
    logging.getLogger("botocore").setLevel(logging.CRITICAL)
    quiet_dependencies()
    assert logging.getLogger("botocore").level == logging.CRITICAL


def test_warnings_are_still_told(caplog: pytest.LogCaptureFixture) -> None:
    quiet_dependencies()
    logging.getLogger("urllib3.connectionpool").warning("the pool is full")
    assert "the pool is full" in caplog.text


def test_a_callback_that_fails_is_told_without_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    quiet_dependencies()
    quiet_dependencies()  # once more changes nothing

    def handle(_: bytes) -> None:
        raise ValueError("a mistake")

    async def work() -> None:
        asyncio.get_running_loop().call_soon(handle, MARKER[:12].encode())
        await asyncio.sleep(0)

    with asyncio.Runner(debug=True) as runner:
        runner.run(work())
    assert MARKER[:12] not in caplog.text
    assert "Exception in callback" in caplog.text
    assert "a mistake" in caplog.text
