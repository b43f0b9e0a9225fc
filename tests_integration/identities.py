"""Users of a local AWS that enforces permissions, each with one policy that can be exchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

REFUSED = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")
"""How AWS names the action that somebody lacks."""

EMPTY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "none:None", "Resource": "*"}]}
"""Allows nothing: IAM takes no policy without a statement."""


class Identity:
    """A user and its access key.

    Args:
        client: Makes clients of the account's owner.
        name: The user's.
    """

    def __init__(self, client: Callable[[str], Any], name: str) -> None:
        self.name = name
        self._iam = client("iam")
        self._iam.create_user(UserName=name)
        made = self._iam.create_access_key(UserName=name)["AccessKey"]
        self.key, self.secret = str(made["AccessKeyId"]), str(made["SecretAccessKey"])

    @property
    def environment(self) -> dict[str, str]:
        """Variables of whoever acts as this user."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def may(self, document: dict[str, Any]) -> None:
        """Have this policy, and no other."""
        self._iam.put_user_policy(UserName=self.name, PolicyName="all", PolicyDocument=json.dumps(document))

    def remove(self) -> None:
        """Be gone."""
        self._iam.delete_user_policy(UserName=self.name, PolicyName="all")
        self._iam.delete_access_key(UserName=self.name, AccessKeyId=self.key)
        self._iam.delete_user(UserName=self.name)


def actions_of(document: dict[str, Any]) -> set[str]:
    """All actions that a policy allows."""
    return {action for statement in document["Statement"] for action in statement["Action"]}


def only(document: dict[str, Any], actions: Collection[str]) -> dict[str, Any]:
    """The policy, with no more than these of its actions."""
    kept = [
        {**statement, "Action": [one for one in statement["Action"] if one in actions]}
        for statement in document["Statement"]
    ]
    statements = [statement for statement in kept if statement["Action"]]
    return {**document, "Statement": statements} if statements else EMPTY


def named(message: str, missing: Collection[str]) -> set[str]:
    """The missing actions that a message names: those that AWS refused, or else all that it speaks of."""
    refused = set(REFUSED.findall(message))
    return refused or {action for action in missing if re.search(rf"\b{action}\b", message)}
