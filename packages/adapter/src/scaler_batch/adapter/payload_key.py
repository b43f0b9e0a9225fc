"""The payload key: found where the option says, and shown to nobody.

With it, no key travels in the parameters of jobs: containers have the same one from the secrets of their definition.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.aws import DENIED, CredentialsError, ServiceError, secure_parameter
from scaler_batch.payload import Seal
from scaler_batch.payload.errors import ContractError

if TYPE_CHECKING:
    import boto3

logger = logging.getLogger(__name__)

IN_PARAMETER, IN_FILE = "ssm:", "file:"
"""How the option begins: a parameter of the Systems Manager, or a file of this machine."""

SOURCES: Final = f"{IN_PARAMETER}/PARAMETER or {IN_FILE}PATH"


async def find_payload_key(source: str | None, session: boto3.Session, region: str) -> Seal | None:
    """Return the key that the option names; ``None`` without one.

    Args:
        source: The option.
        session: Where credentials come from.
        region: Where the parameter is.

    Raises:
        ResourceError: There is no key; says what to do, and never what was found.
    """
    if source is None:
        return None
    text = await asyncio.to_thread(_read, source, session, region)
    try:
        return Seal.from_hex(text)
    except ContractError as error:
        raise ResourceError(f"--payload-key: {source} holds no payload key: {error}") from error


def _read(source: str, session: boto3.Session, region: str) -> str:
    if source.startswith(IN_FILE):
        return _in_file(Path(source.removeprefix(IN_FILE)))
    return _in_parameter(source.removeprefix(IN_PARAMETER), session, region)


def _in_file(path: Path) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            logger.warning("the payload key in %s can be read by others on this machine: chmod 600 it", path)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ResourceError(f"--payload-key: {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise ResourceError(f"--payload-key: {path} is not text") from None


def _in_parameter(name: str, session: boto3.Session, region: str) -> str:
    try:
        found = secure_parameter(session, region, name)
    except CredentialsError as error:
        raise ResourceError(f"no AWS credentials can be used: {error}") from error
    except ServiceError as error:
        if error.code in DENIED:
            fix = "allow these credentials ssm:GetParameter on it, and kms:Decrypt where it has a key of its own"
            raise ResourceError(f"--payload-key: parameter {name} must not be read ({error.code}): {fix}") from error
        raise ResourceError(f"--payload-key: parameter {name} could not be read in {region}: {error}") from error
    if found is None:
        raise ResourceError(
            f"--payload-key: there is no parameter {name} in {region}. Run scaler-batch-provision provision with a "
            "payload key, or check the name and --aws-region"
        )
    return found
