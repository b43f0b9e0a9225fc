"""What a set of IAM documents allows, judged as IAM does: nothing is allowed but what is, and a denial goes over all.

Judged are the identity's own policies. Boundaries, session policies and those of an organization can take more away;
nothing here can see them. A condition that is not understood is taken to hold where it denies, and not to hold where it
allows: the answer errs on the side of "not allowed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.policies import SOURCE_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scaler_batch.provision.policies import Document


@dataclass(frozen=True, slots=True)
class Request:
    """A call that somebody wants to make.

    Attributes:
        action: Such as ``s3:GetObject``.
        resource: ARN of what it is about.
        context: What conditions may look at, such as ``s3:prefix``.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a reader wants it."""
        return f"{self.action} on {self.resource}"


def allowed(documents: Iterable[Document], request: Request) -> bool:
    """Whether an identity with these policies may make the call."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document.get("Statement", []))
        if _applies(statement, request)
    }
    return effects == {"Allow"}


def trusts(document: Document, service: str, account: str = "") -> bool:
    """Whether a trust policy lets this AWS service assume the role.

    Args:
        document: The policy.
        service: The service.
        account: For which it does so, where it tells.
    """
    context = {SOURCE_ACCOUNT: account} if account else {}
    return any(
        statement.get("Effect") == "Allow"
        and "sts:AssumeRole" in _listed(statement.get("Action", []))
        and service in _listed(_services(statement.get("Principal", {})))
        and _hold(statement.get("Condition", {}), context, unknown=False)
        for statement in _listed(document.get("Statement", []))
    )


def _services(principal: Any) -> Any:
    return principal.get("Service", []) if isinstance(principal, dict) else []


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _named(statement, "Action", request.action, fold=True)
        and _named(statement, "Resource", request.resource)
        and _hold(statement.get("Condition", {}), request.context, unknown=statement["Effect"] == "Deny")
    )


def _named(statement: Mapping[str, Any], key: str, value: str, *, fold: bool = False) -> bool:
    if (excluded := statement.get(f"Not{key}")) is not None:
        return not any(_like(pattern, value, fold=fold) for pattern in _listed(excluded))
    return any(_like(pattern, value, fold=fold) for pattern in _listed(statement.get(key, [])))


def _hold(conditions: Mapping[str, Any], context: Mapping[str, str], *, unknown: bool) -> bool:
    return all(
        _holds(operator, key, _listed(values), context, unknown=unknown)
        for operator, tests in conditions.items()
        for key, values in tests.items()
    )


def _holds(operator: str, key: str, values: list[Any], context: Mapping[str, str], *, unknown: bool) -> bool:
    plain = operator.removesuffix("IfExists")
    test = _OPERATORS.get(plain)
    if test is None:
        return unknown
    if key not in context:
        # A negated operator holds where the key is absent, as does one that asks for it only if it exists.
        return operator.endswith("IfExists") or plain.startswith("StringNot")
    results = [test(str(value), context[key]) for value in values]
    return not any(results) if plain.startswith("StringNot") else any(results)


@lru_cache(maxsize=256)
def _pattern(text: str, *, fold: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in text), re.IGNORECASE if fold else 0)


def _like(pattern: str, value: str, *, fold: bool = False) -> bool:
    return _pattern(pattern, fold=fold).fullmatch(value) is not None


def _equal(expected: str, value: str) -> bool:
    return expected == value


def _equal_folded(expected: str, value: str) -> bool:
    return expected.lower() == value.lower()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": _equal,
    "StringNotEquals": _equal,
    "StringEqualsIgnoreCase": _equal_folded,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnLike": _like,
    "ArnEquals": _like,
    "Bool": _equal_folded,
}
