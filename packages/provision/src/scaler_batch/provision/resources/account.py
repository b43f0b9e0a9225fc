"""Whose account it is. Looked at, never changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scaler_batch.aws import service_errors
from scaler_batch.provision.naming import Account

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_ARN = re.compile(r"arn:([a-z-]+):")


def find_account(sts: STSClient) -> Account:
    """Ask whose credentials these are. Needs no permission, so it also shows whether they serve at all."""
    with service_errors():
        caller = sts.get_caller_identity()
    match = _ARN.match(caller["Arn"])
    return Account(number=caller["Account"], partition=match[1] if match else "aws")
