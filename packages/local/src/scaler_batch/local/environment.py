"""The variables that lead a program to a local AWS instead of the real one."""

from __future__ import annotations

from collections.abc import Mapping

from .web.callers import JOB_KEY, SECRET, USER_KEY


def for_users(endpoint_url: str, region: str) -> dict[str, str]:
    """What a shell, a test or a program should have in its environment."""
    return _variables(endpoint_url, region, USER_KEY)


def for_jobs(endpoint_url: str, region: str) -> dict[str, str]:
    """What every job finds in its environment; the key tells its calls from those of users."""
    return _variables(endpoint_url, region, JOB_KEY)


def as_exports(variables: Mapping[str, str]) -> str:
    """The variables as lines that a shell can read."""
    return "".join(f'export {name}="{value}"\n' for name, value in variables.items())


def _variables(endpoint_url: str, region: str, key: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
