"""What boto3's configuration says of S3's address, for whoever reads environment variables only.

Task data travels by a library that knows no profiles. It is told what boto3 would do: address, certificates and kinds
of endpoint, whether they come from a variable or from the profile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.configprovider import ConfiguredEndpointProvider

if TYPE_CHECKING:
    import boto3

_VARIABLES: Final = {
    "ca_bundle": "AWS_CA_BUNDLE",
    "ignore_configured_endpoint_urls": "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "use_dualstack_endpoint": "AWS_USE_DUALSTACK_ENDPOINT",
    "use_fips_endpoint": "AWS_USE_FIPS_ENDPOINT",
}
"""botocore's settings, and the variables that say the same."""


def s3_environment(session: boto3.Session, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment, and in it what the session's profile says of S3.

    Args:
        session: Whose configuration.
        environment: The process's.
    """
    core: Any = session._session
    found = {variable: core.get_config_variable(setting) for setting, variable in _VARIABLES.items()}
    found["AWS_ENDPOINT_URL_S3"] = ConfiguredEndpointProvider(
        full_config=core.full_config, scoped_config=core.get_scoped_config(), client_name="s3", environ=environment
    ).provide()
    return {**environment, **{variable: _text(value) for variable, value in found.items() if value}}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
