"""What an examination finds: one line for each thing looked at, with a way out where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """How it is with one thing."""

    OK = "ok"
    WARNING = "warning"
    """It works, or may work; somebody should know all the same."""
    PROBLEM = "problem"
    """Jobs do not run, or soon will not."""
    SKIPPED = "skipped"
    """It could not be looked at; nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination.

    Attributes:
        subject: What was looked at, in a word or two.
        message: What was found.
        fix: What to do about it; empty where nothing is to be done.
    """

    subject: str
    verdict: Verdict
    message: str
    fix: str = ""


def ok(subject: str, message: str) -> Finding:
    """All is well with it."""
    return Finding(subject, Verdict.OK, message)


def warning(subject: str, message: str, fix: str) -> Finding:
    """Worth knowing."""
    return Finding(subject, Verdict.WARNING, message, fix)


def problem(subject: str, message: str, fix: str) -> Finding:
    """Something is wrong with it."""
    return Finding(subject, Verdict.PROBLEM, message, fix)


def skipped(subject: str, message: str, fix: str = "") -> Finding:
    """Nothing is known of it."""
    return Finding(subject, Verdict.SKIPPED, message, fix)


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether no problem was found."""
    return all(finding.verdict is not Verdict.PROBLEM for finding in findings)
