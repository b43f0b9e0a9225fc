"""Profiles of AWS's configuration file whose credentials behave as a test wants."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from .temporary import EXPIRED, keys_of, leading, moment

PROFILE: Final = "scaler-batch-test"
_PROGRAM: Final = Path(__file__).with_name("process.py")
_START_URL: Final = "https://scaler-batch.awsapps.example/start"


class CredentialProcess:
    """A profile with a ``credential_process`` that behaves as it is told, from the next time on that it runs.

    ::

        with CredentialProcess(tmp_path, aws.environment) as process:
            environment = process.environment
            process.give(seconds=60)
            process.hang()

    Args:
        directory: An empty directory for its files.
        environment: What leads to AWS, with the keys that are given.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._leading = dict(environment)
        self._config = directory / "config"
        self._helper = directory / "helper"
        self._state = directory / "state.json"
        self._calls = directory / "calls"
        self._calls.touch()
        _write_profile(self._config, credential_process=str(self._helper))
        self.give()

    def __enter__(self) -> CredentialProcess:
        """Nothing runs yet: SDKs start the process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End processes that hang."""
        self.fail()

    @property
    def calls(self) -> int:
        """How often it was run."""
        return len(self._calls.read_text().splitlines())

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads to AWS, in which credentials come from this profile."""
        return _with_profile(self._leading, self._config)

    def give(self, seconds: float = 3600.0, keys: tuple[str, str] | None = None) -> None:
        """Print credentials that expire so many seconds after they are printed: id and secret, or those at hand."""
        key, secret = keys or keys_of(self._leading)
        credentials = {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": "local"}
        self._behave(do="give", seconds=seconds, credentials=credentials)

    def expire(self) -> None:
        """Print credentials that have expired."""
        self.give(EXPIRED)

    def fail(self, text: str = "your session has ended: sign in again") -> None:
        """Print a text to the standard error, and exit with 1."""
        self._behave(do="fail", text=text)

    def say(self, text: str) -> None:
        """Print a text instead of credentials, and exit with 0."""
        self._behave(do="say", text=text)

    def hang(self) -> None:
        """Neither print nor exit, until told to do otherwise."""
        self._behave(do="hang")

    def vanish(self) -> None:
        """Have the program be missing, until told to do otherwise."""
        self._helper.unlink(missing_ok=True)

    def _behave(self, **order: Any) -> None:
        _write(self._state, json.dumps(order))
        if not self._helper.exists():
            command = shlex.join([sys.executable, "-I", "-S", str(_PROGRAM), str(self._state), str(self._calls)])
            _write(self._helper, f"#!/bin/sh\nexec {command}\n", mode=0o700)


class SsoProfile:
    """A profile with SSO, whose session has expired until somebody signs in.

    The cache of sessions is below ``HOME``, which SDKs look at when they are imported: the environment is for a process
    of its own.

    Args:
        home: An empty directory, which becomes ``HOME``.
        environment: What leads to AWS, with the keys that whoever is signed in is given.
        session: Whether the profile names an ``sso-session``, the newer way; else it names the portal itself.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], *, session: bool = True) -> None:
        self._leading = dict(environment)
        self._home = home
        self._config = home / ".aws" / "config"
        cache = home / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        self._token = cache / f"{hashlib.sha1((PROFILE if session else _START_URL).encode()).hexdigest()}.json"  # noqa: S324 - the name that SDKs look for
        portal = {"sso_start_url": _START_URL, "sso_region": "us-east-1"}
        role = {"sso_account_id": "123456789012", "sso_role_name": "local"}
        if session:
            _write_profile(self._config, **role, sso_session=PROFILE)
            _append_section(self._config, f"sso-session {PROFILE}", portal)
        else:
            _write_profile(self._config, **role, **portal)
        self.expire()

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads to AWS, in which credentials come from this profile."""
        return {**_with_profile(self._leading, self._config), "HOME": str(self._home)}

    def sign_in(self, seconds: float = 8 * 3600.0) -> None:
        """Have a session that lasts so many seconds from now."""
        _, secret = keys_of(self._leading)  # which is the token that the local AWS takes
        token = {"accessToken": secret, "expiresAt": moment(seconds), "startUrl": _START_URL, "region": "us-east-1"}
        _write(self._token, json.dumps(token))

    def expire(self) -> None:
        """Have a session that has expired."""
        self.sign_in(EXPIRED)

    def sign_out(self) -> None:
        """Have no session."""
        self._token.unlink(missing_ok=True)


def _with_profile(environment: Mapping[str, str], config: Path) -> dict[str, str]:
    nowhere = str(config.with_name("no-credentials"))
    return leading(environment, AWS_CONFIG_FILE=str(config), AWS_SHARED_CREDENTIALS_FILE=nowhere, AWS_PROFILE=PROFILE)


def _write_profile(config: Path, **settings: str) -> None:
    config.write_text("")
    _append_section(config, f"profile {PROFILE}", settings)


def _append_section(config: Path, name: str, settings: Mapping[str, str]) -> None:
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    config.write_text(f"{config.read_text()}[{name}]\n{lines}")


def _write(path: Path, content: str, mode: int = 0o600) -> None:
    """Replace a file that others may be reading."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(content)
    unfinished.chmod(mode)
    unfinished.replace(path)
