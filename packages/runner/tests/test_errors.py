from __future__ import annotations

import inspect
import re

from scaler_batch.payload.contract import ExitCode
from scaler_batch.runner import errors
from scaler_batch.runner.errors import RunnerError


def classes() -> set[type[RunnerError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {value for _, value in found if value.__module__ == errors.__name__}


def test_every_error_is_a_runner_error_and_stands_in_the_tree_of_the_docstring() -> None:
    assert all(issubclass(found, RunnerError) for found in classes())
    assert {found.__name__ for found in classes()} == set(re.findall(r"\w+Error", errors.__doc__ or ""))


def test_every_failing_exit_code_has_its_error() -> None:
    codes = [found.exit_code for found in classes() - {RunnerError}]
    assert sorted(codes) == sorted(set(ExitCode) - {ExitCode.PUBLISHED})
