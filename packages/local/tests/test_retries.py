from __future__ import annotations

import pytest

from scaler_batch.local.batch import texts
from scaler_batch.local.batch.attempt_result import try_again
from scaler_batch.local.batch.vocabulary import Ending, ExitAction, ExitRule, RetryStrategy

RETRY, EXIT = ExitAction.RETRY, ExitAction.EXIT
FAILED = texts.exited(1)
RECLAIMED = texts.host_gone("i-1")


def strategy(*rules: ExitRule, attempts: int = 3) -> RetryStrategy:
    return RetryStrategy(attempts, rules)


def test_without_rules_every_failure_is_retried() -> None:
    assert try_again(strategy(), 1, FAILED)


def test_the_attempts_run_out() -> None:
    assert not try_again(strategy(attempts=2), 2, FAILED)


def test_when_no_rule_matches_the_job_is_retried() -> None:
    assert try_again(strategy(ExitRule(EXIT, on_exit_code="2")), 1, FAILED)


def test_the_first_matching_rule_decides() -> None:
    rules = (ExitRule(RETRY, on_status_reason="Host EC2*"), ExitRule(EXIT, on_reason="*"))
    assert try_again(strategy(*rules), 1, RECLAIMED)
    assert not try_again(strategy(*rules), 1, FAILED)


def test_all_patterns_of_a_rule_have_to_match() -> None:
    rule = ExitRule(EXIT, on_exit_code="1", on_reason="OutOfMemory*")
    assert try_again(strategy(rule), 1, FAILED)
    assert not try_again(strategy(rule), 1, Ending(1, "OutOfMemoryError: Container killed", "x"))


@pytest.mark.parametrize(
    ("pattern", "matches"), [("13*", True), ("137", True), ("1", False), ("*", True), ("7", False)]
)
def test_exit_codes_are_matched_as_text(pattern: str, matches: bool) -> None:
    assert try_again(strategy(ExitRule(EXIT, on_exit_code=pattern)), 1, texts.exited(137)) is not matches


def test_an_attempt_without_an_exit_code_matches_no_code() -> None:
    assert try_again(strategy(ExitRule(EXIT, on_exit_code="1*")), 1, RECLAIMED)
