"""Credentials that are found when they are needed, and found again after they failed.

boto3 looks for credentials once, when a session makes its first client, and lets whatever a provider raises out of the
call that happens to need them. A worker lives longer than its credentials: helper programs fail, sign-ons end, files
change. So a session of ours looks for them whenever a call needs them, in a thread that nobody waits for longer than
a time-out. It raises :class:`~scaler_batch.aws.errors.CredentialsError` and nothing else, and after a failure starts
again from the files and the environment. Clients and stores of a session share what was found.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import boto3
import botocore.session
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError

from scaler_batch.aws.classification import service_error, service_errors
from scaler_batch.aws.errors import CredentialsError, NoCredentialsError

PROVIDER_TIMEOUT: Final = 60.0
"""Seconds that a provider may take: a role takes one or two, a helper program that asks somebody takes for ever."""

_REREAD: Final = 300.0
"""Seconds after which credentials without an end are read again: whoever renews them in a file tells nobody."""

_ABANDONED: Final = 5
"""After this many time-outs a provider that hangs is left alone, and another look is begun beside it."""

_STATIC: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """Where credentials come from, as far as it shows without asking.

    Attributes:
        kind: ``env``, ``sso``, ``login``, ``process``, ``role``, ``file``, ``container``; empty where nothing shows.
        profile: The profile of the AWS configuration.
    """

    kind: str = ""
    profile: str = "default"

    @property
    def renewal(self) -> str:
        """How they are renewed, a sentence."""
        option = "" if self.profile == "default" else f" --profile {self.profile}"
        return {
            "env": "Credentials from environment variables cannot be renewed in a running process: export "
            f"{', '.join(name.upper() for name in _STATIC)} again and restart it",
            "sso": f"Run `aws sso login{option}` on this machine",
            "login": f"Run `aws login{option}` on this machine",
            "process": f"Check that the credential_process of profile {self.profile} works: "
            f"`aws sts get-caller-identity{option}`",
            "role": f"Check that profile {self.profile} may assume its role: `aws sts get-caller-identity{option}`",
            "file": f"Put new keys for profile {self.profile} into the credentials file: `aws configure{option}`",
            "container": "Check that the container's task role still exists and that its credential endpoint answers",
        }.get(
            self.kind,
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role; "
            "in a container see `env | grep AWS`",
        ) + "."


_PROFILE_KINDS: Final = {
    "sso_session": "sso",
    "sso_start_url": "sso",
    "login_session": "login",
    "role_arn": "role",
    "credential_process": "process",
    "aws_access_key_id": "file",
}
"""Keys of a profile, and what they say of it, in the order in which botocore looks."""


def source_of(
    profile: str | None, profiles: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str] = os.environ
) -> CredentialSource:
    """Tell where credentials come from.

    Args:
        profile: The profile that was asked for; ``None`` where none was.
        profiles: The profiles of the AWS configuration.
        environment: The process's.
    """
    name = profile or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    if profile is None and "AWS_ACCESS_KEY_ID" in environment:
        return CredentialSource("env", name)
    settings = profiles.get(name, {})
    kind = next((kind for key, kind in _PROFILE_KINDS.items() if key in settings), "")
    source = settings.get("source_profile", name)
    if kind == "role" and source != name and source in profiles:
        # What ends is what the role is assumed with.
        return source_of(source, {each: found for each, found in profiles.items() if each != name}, environment)
    if not kind and any(each.startswith("AWS_CONTAINER_CREDENTIALS_") for each in environment):
        kind = "container"
    return CredentialSource(kind, name)


class SessionCredentials(Credentials):
    """The credentials of a session.

    Args:
        load: Looks for credentials, from the beginning; ``None`` where there are none.
        source: Where they come from.
        timeout: Seconds that looking may take.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        load: Callable[[], Credentials | None],
        source: CredentialSource | None = None,
        *,
        timeout: float = PROVIDER_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("", "", method="scaler-batch")
        self._load = load
        self.source = source or CredentialSource()
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._found: Credentials | None = None
        self._found_at = self._began = 0.0
        self._looking: Future[ReadOnlyCredentials] | None = None

    @property
    def expires(self) -> datetime | None:
        """When they end; ``None`` for never, or for no telling.

        botocore has no public name for it; where the private one is gone nothing is known.
        """
        expires = getattr(self._found, "_expiry_time", None)
        return expires if isinstance(expires, datetime) else None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return credentials for one call.

        Raises:
            CredentialsError: There are none at present; says why, and how to renew them.
        """
        with self._lock:
            found = self._at_hand() or self._look()
        if isinstance(found, Credentials):
            return found.get_frozen_credentials()
        try:
            return found.result(self._timeout)
        except TimeoutError:
            raise CredentialsError(
                f"no credentials within {self._timeout:g} s: what provides them hangs. {self.source.renewal}"
            ) from None

    def forget(self) -> None:
        """Look for credentials from the beginning with the next need: AWS does not accept those at hand."""
        with self._lock:
            self._found = None

    def _at_hand(self) -> Credentials | None:
        """What needs no looking for."""
        found = self._found
        if isinstance(found, RefreshableCredentials):
            return None if found.refresh_needed() else found
        return found if self._clock() - self._found_at < _REREAD else None

    def _look(self) -> Future[ReadOnlyCredentials]:
        """Begin to look, or join a look that is under way."""
        now = self._clock()
        if self._looking is None or now - self._began > _ABANDONED * self._timeout:
            self._looking, self._began = Future(), now
            # A daemon: a helper program that waits for somebody must not keep the process from ending.
            threading.Thread(target=self._finish, args=(self._looking,), name="aws-credentials", daemon=True).start()
        return self._looking

    def _finish(self, looking: Future[ReadOnlyCredentials]) -> None:
        found: Credentials | None = None
        frozen: ReadOnlyCredentials | None = None
        error: CredentialsError | None = None
        try:
            found, frozen = self._freeze()
        except CredentialsError as failed:
            error = failed
        except Exception as failed:
            error = CredentialsError(str(service_error(failed, self.source.renewal)))
            error.__cause__ = failed
        with self._lock:
            if self._looking is looking:
                self._looking = None
            self._found, self._found_at = found, self._clock()
        if frozen is not None:
            looking.set_result(frozen)
        else:
            looking.set_exception(error or self._none())

    def _freeze(self) -> tuple[Credentials, ReadOnlyCredentials]:
        found = self._found
        if not isinstance(found, RefreshableCredentials):
            found = self._load()
        if found is None:
            raise self._none()
        return found, found.get_frozen_credentials()

    def _none(self) -> NoCredentialsError:
        return NoCredentialsError(f"No AWS credentials were found. {self.source.renewal}")


class _Provider:
    """What botocore asks for a session's credentials."""

    def __init__(self, credentials: SessionCredentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> SessionCredentials:
        return self._credentials


def open_session(
    profile: str | None = None, region: str | None = None, *, timeout: float = PROVIDER_TIMEOUT
) -> boto3.Session:
    """Make a session. It looks for credentials when a call needs them, and again after they failed.

    Args:
        profile: A profile of the AWS configuration; ``None`` for the usual one.
        region: Region of its clients; ``None`` for the profile's.
        timeout: Seconds that looking for credentials may take.

    Raises:
        CredentialsError: There is no such profile, or the configuration cannot be read.
    """
    core = botocore.session.Session(profile=profile)
    try:
        core.get_scoped_config()
        source = source_of(profile, core.full_config.get("profiles", {}))
    except BotoCoreError as error:
        fix = "check AWS_PROFILE or --profile, and the files that `aws configure list` names"
        raise CredentialsError(f"no AWS credentials ({error}): {fix}") from error
    credentials = SessionCredentials(lambda: _load(profile), source, timeout=timeout)
    core.register_component("credential_provider", _Provider(credentials))
    return boto3.Session(botocore_session=core, region_name=region)


def _load(profile: str | None) -> Credentials | None:
    """Look for credentials as a new process would: a session keeps what it has once read."""
    session = botocore.session.Session(profile=profile)
    found: Credentials | None = session.get_component("credential_provider").load_credentials()
    return found


def credentials_of(session: boto3.Session) -> SessionCredentials | None:
    """The credentials of a session of ours; ``None`` for a session that somebody else has made."""
    found = session._session.get_component("credential_provider")
    return found._credentials if isinstance(found, _Provider) else None


def find_credentials(session: boto3.Session) -> None:
    """Look for credentials now, where a call would only look for them when it needs them.

    Raises:
        NoCredentialsError: Nothing is configured that provides any.
        CredentialsError: They cannot be had.
    """
    with service_errors(renewal_of(session)):
        found = session.get_credentials()
        if found is None:
            raise NoCredentialsError("No AWS credentials were found.")
        found.get_frozen_credentials()


def renewal_of(session: boto3.Session) -> str:
    """How the credentials of a session are renewed, a sentence."""
    found = credentials_of(session)
    return found.source.renewal if found else ""


def expiry_of(session: boto3.Session) -> datetime | None:
    """When the credentials of a session end; ``None`` for never, or for no telling."""
    if (ours := credentials_of(session)) is not None:
        return ours.expires
    expires = getattr(session.get_credentials(), "_expiry_time", None)
    return expires if isinstance(expires, datetime) else None
