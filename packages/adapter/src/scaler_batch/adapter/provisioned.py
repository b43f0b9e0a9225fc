"""What the provisioner leaves behind for the worker: lines for a shell, or its JSON record; either will do.

The lines may be written by hand, so comments, single quotes and variables of others are passed over. A line that only a
shell could make sense of is an error: a worker that guessed would use a queue that nobody meant.
"""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

VARIABLES: Final = {
    "SCALER_AWS_REGION": "aws_region",
    "SCALER_S3_BUCKET": "s3_bucket",
    "SCALER_JOB_QUEUE": "job_queue",
    "SCALER_JOB_DEFINITION": "job_definition",
    "SCALER_PAYLOAD_KEY": "payload_key",
}
"""Names in the lines, and the options they give."""

_RESOURCES: Final = {"s3_bucket": "bucket", "job_queue": "job_queue", "job_definition": "job_definition"}


def read_provisioned(text: str) -> dict[str, tuple[str, str]]:
    """Read a file of the provisioner.

    Returns:
        By option, what the file calls it and its value.

    Raises:
        ValueError: It is no such file.
    """
    return _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)


def _from_lines(text: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        words = [word for word in shlex.split(line, comments=True) if word != "export"]
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or any(character in value for character in "$`\\"):
                raise ValueError(f"not an assignment of a plain value: {line[:80]!r}")
            if name in VARIABLES:
                found[VARIABLES[name]] = (name, value)
    if not found:
        raise ValueError(f"it sets none of {', '.join(VARIABLES)}")
    return found


def _from_json(text: str) -> dict[str, tuple[str, str]]:
    try:
        record: Any = json.loads(text)
        resources = record["resources"]
        found = {"aws_region": ("region", str(record["region"]))}
        for option, kind in _RESOURCES.items():
            if kind in resources:
                found[option] = (f"resources.{kind}.name", str(resources[kind]["name"]))
        if "payload_key" in resources:
            found["payload_key"] = ("resources.payload_key.name", f"ssm:{resources['payload_key']['name']}")
        return found
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record of resources ({type(error).__name__}: {error})") from error
