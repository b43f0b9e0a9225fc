"""Where S3 is: one answer for worker and runner, and the one that boto3 would give.

obstore knows one address pattern, so it is always told the address. What decides, as in botocore (its
``configprovider.ConfiguredEndpointProvider`` and the rules of its S3 endpoints): ``AWS_ENDPOINT_URL_S3``, then
``AWS_ENDPOINT_URL``, then the ``endpoint_url`` of a profile, unless ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` is true;
else the region, with ``AWS_USE_FIPS_ENDPOINT`` and ``AWS_USE_DUALSTACK_ENDPOINT``. A variable that is set and empty is
not set.

Pure, and without imports that take time: a runner has to be quick to start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from scaler_batch.payload.errors import ContractError

_SUFFIX: Final = "amazonaws.com"

_SUFFIXES: Final = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
"""DNS suffixes by the beginning of a region's name, where they are not :data:`_SUFFIX`. A test compares them with what
botocore knows."""

_WITHOUT_FIPS: Final = "cn-"
"""Where there are no FIPS endpoints."""

_LABEL: Final = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_ENDPOINT: Final = re.compile(
    rf"https?://((?P<name>{_LABEL}(\.{_LABEL})*\.?)|\[(?P<v6>[0-9a-fA-F:.]+)\])(:(?P<port>[0-9]{{1,5}}))?/?"
)


def s3_endpoint(region: str, environment: Mapping[str, str], configured: str | None = None) -> str:
    """Return the URL of S3 in a region, to which paths of the form ``/bucket/key`` are added.

    Args:
        region: Region of the bucket.
        environment: Where the variables are looked up.
        configured: The ``endpoint_url`` of the profile in use.

    Raises:
        ContractError: The address that was set is unusable, or there is none such; the message names the fix.
    """
    return endpoint_by_hand(environment, configured) or _regional(
        region,
        fips=_is_true(environment, "AWS_USE_FIPS_ENDPOINT"),
        dualstack=_is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT"),
    )


def endpoint_by_hand(environment: Mapping[str, str], configured: str | None = None) -> str | None:
    """Return the URL that somebody has set, whatever region and flags say; see :func:`s3_endpoint`."""
    if _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return None
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if address := environment.get(variable):
            return _checked(variable, address)
    return _checked("the profile's endpoint_url", configured) if configured else None


def ca_bundle(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the variable that names a file of certificates to trust, and the file; ``None`` where none does.

    The variables are those that botocore obeys (its ``endpoint.EndpointCreator``).
    """
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if path := environment.get(variable):
            return variable, path
    return None


def _is_true(environment: Mapping[str, str], variable: str) -> bool:
    # botocore takes nothing else for true either.
    return environment.get(variable, "").lower() == "true"


def _regional(region: str, *, fips: bool, dualstack: bool) -> str:
    if fips and region.startswith(_WITHOUT_FIPS):
        raise ContractError(f"S3 in {region} has no FIPS endpoint: unset AWS_USE_FIPS_ENDPOINT")
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if region.startswith(prefix)), _SUFFIX)
    return f"https://s3{'-fips' if fips else ''}{'.dualstack' if dualstack else ''}.{region}.{suffix}"


def _checked(name: str, address: str) -> str:
    """Refuse what obstore would not: its first request would panic, which nobody catches."""
    match = _ENDPOINT.fullmatch(address)
    if match is None or int(match["port"] or 0) > 65535 or not _is_address(match["v6"]):
        raise ContractError(f"{address!r} in {name} is not of the form http(s)://host:port")
    return address.rstrip("/")


def _is_address(text: str | None) -> bool:
    if text is None:
        return True
    import socket

    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True
