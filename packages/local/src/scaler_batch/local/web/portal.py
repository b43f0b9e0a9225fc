"""The SSO portal, which moto does not have: whoever is signed in gets the user's access key."""

from __future__ import annotations

import json
from typing import Final

from ..clock import Clock
from .chain import Answer, Call, Proceed
from .keys import AccessKey

_HOUR: Final = 3600


class PortalLayer:
    """Answers GetRoleCredentials. The guard has looked at the token.

    Args:
        clock: By which credentials expire.
        key: What is given.
    """

    def __init__(self, clock: Clock, key: AccessKey) -> None:
        self._clock = clock
        self._key = key

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Give credentials for an hour, or pass on what is for another service."""
        if call.name != "sso.GetRoleCredentials":
            return proceed()
        credentials = {
            "accessKeyId": self._key.id,
            "secretAccessKey": self._key.secret,
            "sessionToken": "local",
            "expiration": int((self._clock.now() + _HOUR) * 1000),
        }
        content = json.dumps({"roleCredentials": credentials}).encode()
        return Answer(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))], [content]
        )
