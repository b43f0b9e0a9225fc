from __future__ import annotations

import inspect
import re

import pytest

from scaler_batch.aws import errors
from scaler_batch.aws.errors import Classification, CredentialsError, ServiceError


def tree() -> dict[str, str]:
    """Read the tree from the module's docstring: each class with the one it hangs below."""
    above: list[str] = []
    found: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            found[match[2]] = above[depth - 1] if depth else "Exception"
            above[depth:] = [match[2]]
    return found


def test_the_tree_in_the_docstring_is_the_one_in_the_code():
    classes = {
        name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)
    }
    assert tree() == {name: kind.__bases__[0].__name__ for name, kind in classes.items()}


@pytest.mark.parametrize(
    ("classification", "retryable", "ambiguous", "awaits_credentials"),
    [
        (Classification.REPEAT, True, False, False),
        (Classification.AMBIGUOUS, True, True, False),
        (Classification.AWAIT_CREDENTIALS, False, False, True),
        (Classification.FINAL, False, False, False),
    ],
)
def test_what_may_be_done_follows_from_the_classification(
    classification: Classification, retryable: bool, ambiguous: bool, awaits_credentials: bool
):
    error = ServiceError("no", classification)
    assert (error.retryable, error.ambiguous, error.awaits_credentials) == (retryable, ambiguous, awaits_credentials)


def test_errors_of_credentials_wait_for_credentials():
    assert CredentialsError("no").awaits_credentials
