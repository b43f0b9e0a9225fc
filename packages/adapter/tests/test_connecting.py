from __future__ import annotations

import logging

import pytest

from scaler_batch.adapter.connecting import warn_if_readable
from scaler_batch.wire import parse


@pytest.mark.parametrize("address", ["tcp://169.254.0.7:5", "ws://scheduler.example:5"])
def test_a_link_that_others_can_read_is_warned_of_once_with_what_it_means(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_if_readable("scheduler", parse(address))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert address in record.message
    assert "can read functions, arguments and results, and replace them by code of their own" in record.message


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:5", "ws://[::1]:5", "tls://169.254.0.7:5", "wss://scheduler.example:5"]
)
def test_a_link_that_nobody_can_read_is_not_warned_of(address: str, caplog: pytest.LogCaptureFixture) -> None:
    warn_if_readable("scheduler", parse(address))
    assert caplog.records == []
