"""Parameters of the Systems Manager that hold a secret. Blocking."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from scaler_batch.aws.classification import service_errors, unless_missing
from scaler_batch.aws.clients import IMPATIENT, open_client
from scaler_batch.aws.credentials import renewal_of

if TYPE_CHECKING:
    import boto3

_MISSING: Final = ("ParameterNotFound", "ParameterVersionNotFound")


def secure_parameter(session: boto3.Session, region: str, name: str) -> str | None:
    """Return the decrypted value of a parameter; ``None`` where there is none of this name.

    Args:
        session: Where credentials come from.
        region: Where the parameter is.
        name: Its name or ARN.

    Raises:
        ServiceError: It cannot be read.
    """
    ssm = open_client(session, "ssm", region, IMPATIENT)
    with service_errors(renewal_of(session)), _answers_unlogged():
        found = unless_missing(lambda: ssm.get_parameter(Name=name, WithDecryption=True), *_MISSING)
    return None if found is None else str(found["Parameter"]["Value"])


@contextlib.contextmanager
def _answers_unlogged() -> Iterator[None]:
    """Keep botocore from logging what AWS answers, which it does with all of it where somebody wants to see that."""
    logger = logging.getLogger("botocore.parsers")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
