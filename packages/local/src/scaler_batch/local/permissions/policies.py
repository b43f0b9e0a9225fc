"""The evaluation of identity-based policies: statements, wildcards, conditions, boundaries.

As AWS does it: what is denied anywhere is denied; what no statement allows is denied as well; a permissions boundary
has to allow it too. Values of conditions come with the request; an operator on a key that the request does not have
fails, unless it ends in ``IfExists`` or negates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, Final

Document = Mapping[str, Any]
Context = tuple[tuple[str, str], ...]
"""Values of condition keys; the keys in lower case."""


class Decision(Enum):
    """What policies come to."""

    ALLOWED = auto()
    NOT_ALLOWED = auto()
    DENIED = auto()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One permission that a request needs.

    Attributes:
        action: Such as ``s3:GetObject``.
        resources: ARNs, any of which a policy may name: some resources are written in two ways.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Context = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        policies: Documents of the policies that it has.
        boundary: The document of its permissions boundary; None when it has none.
    """

    arn: str
    policies: Sequence[str]
    boundary: str | None = None


def decide(principal: Principal, requirement: Requirement) -> Decision:
    """Whether a principal has a permission."""
    decision = evaluate(principal.policies, requirement)
    if decision is Decision.ALLOWED and principal.boundary is not None:
        return evaluate([principal.boundary], requirement)
    return decision


def evaluate(policies: Sequence[str], requirement: Requirement) -> Decision:
    """What some policies say about a requirement."""
    statements = [each for text in policies for each in _statements(text) if _applies(each, requirement)]
    effects = {each.get("Effect") for each in statements}
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.NOT_ALLOWED


@cache
def _statements(text: str) -> tuple[Document, ...]:
    listed = json.loads(text).get("Statement", [])
    return tuple(listed) if isinstance(listed, list) else (listed,)


def _applies(statement: Document, requirement: Requirement) -> bool:
    return (
        _named(statement, "Action", [requirement.action], ignore_case=True)
        and _named(statement, "Resource", requirement.resources)
        and _conditions_hold(statement.get("Condition") or {}, dict(requirement.context))
    )


def _named(statement: Document, element: str, values: Sequence[str], *, ignore_case: bool = False) -> bool:
    """Whether one of the values is among those that an element, or its negation, stands for."""
    negated = f"Not{element}" in statement
    patterns = _listed(statement.get(f"Not{element}" if negated else element, ()))
    found = any(like(value, str(pattern), ignore_case=ignore_case) for pattern in patterns for value in values)
    return found != negated


def _conditions_hold(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    return all(
        _holds(operator, context.get(key.lower()), [str(each) for each in _listed(expected)])
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _holds(operator: str, actual: str | None, expected: Sequence[str]) -> bool:
    name = operator.rpartition(":")[2]
    if name == "Null":
        return (actual is None) == (expected[0].lower() == "true")
    optional, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negated, name = _without_not(name)
    if actual is None:
        return optional or negated or operator.startswith("ForAllValues:")
    compare = _OPERATORS.get(name)
    if compare is None:
        return False
    return any(compare(actual, each) for each in expected) != negated


def _without_not(name: str) -> tuple[bool, str]:
    """``StringNotLike`` is ``StringLike``, negated."""
    return ("Not" in name, name.replace("Not", "", 1)) if name != "NotIpAddress" else (True, "IpAddress")


def like(value: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether a text is one that a pattern with ``*`` and ``?`` stands for."""
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


@cache
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _same(actual: str, expected: str) -> bool:
    return actual == expected


def _same_number(actual: str, expected: str) -> bool:
    return float(actual) == float(expected)


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": _same,
    "StringEqualsIgnoreCase": lambda actual, expected: actual.lower() == expected.lower(),
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda actual, expected: actual.lower() == expected.lower(),
    "NumericEquals": _same_number,
    "NumericLessThan": lambda actual, expected: float(actual) < float(expected),
    "NumericLessThanEquals": lambda actual, expected: float(actual) <= float(expected),
    "NumericGreaterThan": lambda actual, expected: float(actual) > float(expected),
    "NumericGreaterThanEquals": lambda actual, expected: float(actual) >= float(expected),
}
"""Operators that are not known never hold, so that a policy is not taken for more than it says."""


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
