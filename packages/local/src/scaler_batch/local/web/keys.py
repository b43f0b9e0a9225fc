"""The access keys of one server. They are random, so only whoever was told them can ask the server for anything."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

USER_KEYS: Final = "LOCALUSER"
JOB_KEYS: Final = "LOCALJOB"
"""How the ids of access keys begin: those of users, and those of jobs, whatever their role."""

_ID_LENGTH: Final = 20
_SECRET_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key.

    Attributes:
        id: What requests name: 20 letters and digits, as on AWS.
        secret: What they are signed with.
    """

    id: str
    secret: str = field(repr=False)


class Keys:
    """The keys of the user, who owns the account, and those of jobs, one a role."""

    def __init__(self) -> None:
        self._seed = secrets.token_bytes(32)
        self._of_jobs: dict[str, tuple[AccessKey, str | None]] = {}
        self.user = self._derive(USER_KEYS, "")
        self.job = self.of_role(None)

    def of_role(self, arn: str | None) -> AccessKey:
        """Give the key of jobs with a role, or with none."""
        key = self._derive(JOB_KEYS, arn or "")
        self._of_jobs[key.id] = key, arn or None
        return key

    def role_of(self, key_id: str) -> str | None:
        """Return the role whose key this is; None for a key of no role."""
        return self._of_jobs[key_id][1] if key_id in self._of_jobs else None

    def secret_of(self, key_id: str) -> str | None:
        """Return the secret of a key of this server; None for any other key."""
        if key_id == self.user.id:
            return self.user.secret
        return self._of_jobs[key_id][0].secret if key_id in self._of_jobs else None

    def _derive(self, prefix: str, what: str) -> AccessKey:
        name, secret = (
            hmac.digest(self._seed, f"{part}/{prefix}/{what}".encode(), sha256) for part in ("name", "secret")
        )
        key_id = (prefix + base64.b32encode(name).decode())[:_ID_LENGTH]
        return AccessKey(key_id, base64.urlsafe_b64encode(secret).decode()[:_SECRET_LENGTH])
