"""Fixtures and helpers for tests. ``pytest_plugins = ["scaler_batch.local.testing"]`` in a conftest loads the fixtures.

===========================  ========  ======================================================================
``local_aws_settings``       session   how the local AWS behaves; define your own of this name to change it
``local_aws``                session   a running :class:`~..aws.LocalAWS`
``local_aws_environment``    function  its variables in ``os.environ`` while a test lasts
===========================  ========  ======================================================================

Nothing is started until a test asks for it. Tests of a session share the server: name resources apart, or call
``local_aws.reset()``.

Credentials that fail on the client's side, each in the ways that its kind of provider can fail:

===========================  ========================================================================================
:class:`CredentialProcess`   a profile with a ``credential_process``: good, expired, failing, garbled, missing, hanging
:class:`CredentialEndpoint`  the endpoint that containers get credentials from: good, expired, failing, hanging
:class:`SsoProfile`          a profile with SSO: signed in, or with a session that has expired
===========================  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..aws import LocalAWS
from ..settings import LocalSettings
from .endpoint import CredentialEndpoint
from .profiles import CredentialProcess, SsoProfile

__all__ = [
    "CredentialEndpoint",
    "CredentialProcess",
    "SsoProfile",
    "local_aws",
    "local_aws_environment",
    "local_aws_settings",
]

_MISLEADING = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


@pytest.fixture(scope="session")
def local_aws_settings() -> LocalSettings:
    """The settings of the session's local AWS."""
    return LocalSettings()


@pytest.fixture(scope="session")
def local_aws(local_aws_settings: LocalSettings) -> Iterator[LocalAWS]:
    """A local AWS that runs for as long as the session."""
    with LocalAWS(local_aws_settings) as running:
        yield running


@pytest.fixture
def local_aws_environment(local_aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that lead AWS's SDKs to the local AWS, in the environment of this process."""
    for name in _MISLEADING:
        monkeypatch.delenv(name, raising=False)
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    return local_aws.environment
