"""The layer that refuses requests whose caller has no permission for them, in AWS's words."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from ..faults import Deny, InvalidCredentials
from ..faults.refusals import denied, refusal
from ..web.chain import Answer, Call, Proceed
from .asked import Asked, asked
from .policies import Context, Decision, Principal, Requirement, decide
from .requirements import ALWAYS_ALLOWED, listing_requirement, request_context, requirements

_SUFFIX: Final = {
    Decision.NOT_ALLOWED: "because no identity-based policy allows the {action} action",
    Decision.DENIED: "with an explicit deny in an identity-based policy",
}


class Directory(Protocol):
    """What there is: users, roles, instance profiles."""

    def principal_of(self, key: str) -> Principal | None:
        """Whose access key this is; None for a key that does not exist."""

    def besides(self, asked: Asked) -> list[Requirement]:
        """More permissions that a request needs, which depend on what there is."""

    def context(self, asked: Asked, needed: Requirement) -> Context:
        """Values of condition keys that depend on what there is."""


class PermissionLayer:
    """Lets requests pass that IAM allows.

    Args:
        directory: Users and roles.
        owner: The id of the access key of the account's owner, who may do everything: that of the user's environment.
    """

    def __init__(self, directory: Directory, owner: str) -> None:
        self._directory = directory
        self._owner = owner

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Let a call pass, or refuse it."""
        if call.key == self._owner or f"{call.service}:{call.operation}" in ALWAYS_ALLOWED:
            return proceed()
        principal = self._directory.principal_of(call.key)
        if principal is None:
            call.environ["wsgi.input"].read()
            return refusal(Deny() if not call.key else InvalidCredentials(), call)
        return self._judge(asked(call), principal, proceed)

    def _judge(self, request: Asked, principal: Principal, proceed: Proceed) -> Answer:
        context = request_context(request, principal)
        for needed in (*requirements(request), *self._directory.besides(request)):
            known = self._directory.context(request, needed)
            requirement = replace(needed, context=(*context, *known, *needed.context))
            if (answer := _refused(request, principal, requirement)) is not None:
                request.call.environ["wsgi.input"].read()  # the next request follows on the connection
                return answer
        answer = proceed()
        if request.call.name in {"s3.GetObject", "s3.HeadObject"} and answer.status.startswith("404"):
            return _refused(request, principal, listing_requirement(request)) or answer
        return answer


def _refused(request: Asked, principal: Principal, requirement: Requirement) -> Answer | None:
    decision = decide(principal, requirement)
    if decision is Decision.ALLOWED:
        return None
    why = _SUFFIX[decision].format(action=requirement.action)
    what = f"{requirement.action} on resource: {requirement.resources[0]}"
    return denied(request.call, f"User: {principal.arn} is not authorized to perform: {what} {why}")
