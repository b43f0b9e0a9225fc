"""The variables that lead a program to a local AWS instead of the real one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from .web.keys import AccessKey


def variables(endpoint_url: str, region: str, key: AccessKey) -> dict[str, str]:
    """What a shell, a test, a program or a job should have in its environment."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        **credentials(key),
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def credentials(key: AccessKey) -> dict[str, str]:
    """An access key as SDKs read it; the key of a job tells its calls from those of users."""
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}


def as_exports(variables: Mapping[str, str]) -> str:
    """The variables as lines that a shell can read."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
