"""The tags by which resources and jobs are told apart, in cost reports above all."""

from __future__ import annotations

import re
from typing import Final

PREFIX_TAG: Final = "scaler-batch:prefix"
"""On what the provisioner made: the prefix that it was made for. On a job: that of its definition."""

RUN_TAG: Final = "scaler-batch:run"
"""On a job: the run of the worker that submitted it."""

WORKER_TAG: Final = "scaler-batch:worker"
"""On a job: the name of that worker."""

MOST_TAGS: Final = 50
"""On one resource; of a job together with those of its definition. Source: AWS Batch API reference, SubmitJob."""

_LONGEST_VALUE: Final = 256
_NOT_TAKEN: Final = re.compile(r"[^\w .:/=+@-]")


def tag_value(text: str) -> str:
    """A text as the value of a tag: AWS takes letters, digits, spaces and some signs."""
    return _NOT_TAKEN.sub("-", text)[:_LONGEST_VALUE]
