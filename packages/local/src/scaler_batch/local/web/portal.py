"""The SSO portal, which moto does not have: whoever is signed in gets credentials of the user."""

from __future__ import annotations

import json
from typing import Final

from ..clock import Clock
from .callers import SECRET, USER_KEY
from .chain import Answer, Call, Proceed

_HOUR: Final = 3600


class PortalLayer:
    """Answers GetRoleCredentials. Any token is taken, as any signature is.

    Args:
        clock: By which credentials expire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Give credentials for an hour, or pass on what is for another service."""
        if call.name != "sso.GetRoleCredentials":
            return proceed()
        credentials = {
            "accessKeyId": USER_KEY,
            "secretAccessKey": SECRET,
            "sessionToken": "local",
            "expiration": int((self._clock.now() + _HOUR) * 1000),
        }
        content = json.dumps({"roleCredentials": credentials}).encode()
        return Answer(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))], [content]
        )
