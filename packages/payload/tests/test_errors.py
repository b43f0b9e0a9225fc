from __future__ import annotations

import inspect
import re

from scaler_batch.payload import errors
from scaler_batch.payload.errors import AlreadyStoredError, NotStoredError, PayloadError, StoreError, VersionError


def test_every_error_is_a_payload_error_and_stands_in_the_tree_of_the_docstring() -> None:
    classes = {
        name for name, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__
    }
    assert all(issubclass(getattr(errors, name), PayloadError) for name in classes)
    assert classes == set(re.findall(r"\w+Error", errors.__doc__ or ""))


def test_a_version_error_names_both_versions_and_the_fix() -> None:
    error = VersionError(7, 1)
    assert (error.found, error.known) == (7, 1)
    assert "7" in str(error)
    assert "same release" in str(error)


def test_store_errors_carry_the_key_and_whether_to_try_again() -> None:
    for error in (StoreError("no", key="a/b", retryable=False), NotStoredError("a/b"), AlreadyStoredError("a/b")):
        assert error.key == "a/b"
        assert not error.retryable
    assert StoreError("busy", key="a/b", retryable=True).retryable
