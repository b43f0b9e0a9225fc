"""Whether the image of the job definition is there, and of which Python and release it is.

An image tells that in its configuration, which a registry keeps as an object of its own: an image of gigabytes need not
be pulled for it.

::

    tag ─► manifest (of this platform, where there are several) ─► configuration ─► labels, variables
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.errors import UnreachableError
from scaler_batch.provision.finding import Finding, ok, problem, skipped, warning
from scaler_batch.provision.instance_types import Architecture, architecture_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_batch.provision.checks.scene import Found, Scene
    from scaler_batch.provision.resources.clients import EcrClient

SUBJECT: Final = "image"
PYTHON: Final = "image's Python"
ARCHITECTURE: Final = "image's architecture"
THIS_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON_LABEL: Final = "scaler-batch.python"
PYTHON_VARIABLE: Final = "PYTHON_VERSION"
"""Set by Docker's own images of Python, and so by all that are made from them."""

_URI: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/(?P<name>[a-z0-9._/-]+?)"
    r"(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MEDIA_TYPES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_SECONDS: Final = 5
_LARGEST: Final = 1 << 20
"""Bytes of a configuration that are read; they have some thousands."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where in ECR an image lies."""

    account: str
    region: str
    repository: str
    identifier: Mapping[str, str]


def locate(uri: str) -> Location | None:
    """Understand the URI of an image in ECR; ``None`` for any other."""
    match = _URI.fullmatch(uri)
    if match is None:
        return None
    by_digest = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    return Location(match["account"], match["region"], match["name"], by_digest)


def check(found: Found, scene: Scene) -> list[Finding]:
    """Look for the image, and into its configuration."""
    uri = found.container.get("image", "")
    location = locate(uri)
    if not uri:
        return [skipped(SUBJECT, "there is no job definition to name one")]
    if location is None or location.region != scene.names.region:
        fix = f"look yourself: docker run --rm {uri} python --version"
        return [skipped(SUBJECT, f"{uri} lies in no ECR registry of this region", fix)]
    digest = _digest(scene.clients.ecr, location)
    if digest is None:
        fix = "run scaler-batch-provision build-image, and provision with what it prints as --image"
        return [problem(SUBJECT, f"{uri} is not there", fix)]
    architecture = _architecture_of(found)
    configuration = _configuration(scene.clients.ecr, location, architecture or Architecture.AMD64)
    judged = [] if architecture is None else [judge_architecture(configuration, architecture)]
    return [judge_name(uri, location, digest), *judged, judge_python(configuration, scene.python)]


def judge_name(uri: str, location: Location, digest: str) -> Finding:
    """Say whether the definition names this image and no other, whatever is pushed later."""
    if "imageDigest" in location.identifier:
        return ok(SUBJECT, f"{uri} is there")
    by_digest = f"{uri.removesuffix(':' + location.identifier['imageTag'])}@{digest}"
    message = f"{uri} is there, named by a tag: whoever may push decides what jobs run"
    return warning(SUBJECT, message, f"name it by its digest: --image {by_digest}")


def _architecture_of(found: Found) -> Architecture | None:
    """The architecture of the instances; ``None`` where there are none, or of several."""
    types = {one for compute in found.compute for one in compute.get("instanceTypes", ())}
    architectures = {architecture_of(one) for one in types}
    return architectures.pop() if len(architectures) == 1 else None


def judge_architecture(configuration: Mapping[str, Any] | None, wanted: Architecture) -> Finding:
    """Compare the image's architecture with that of the instances."""
    told = (configuration or {}).get("architecture")
    if not told:
        fix = "look yourself: docker image inspect --format '{{.Architecture}}'"
        return warning(ARCHITECTURE, f"the image does not tell, and instances are {wanted}", fix)
    if told != wanted:
        return problem(
            ARCHITECTURE,
            f"the image is for {told}, and instances are {wanted}: its command cannot be executed there",
            f"provision with --platform {wanted.platform} and an image for it, or with --instance-types of {told}",
        )
    return ok(ARCHITECTURE, f"{told}, as instances are")


def judge_python(configuration: Mapping[str, Any] | None, said: str | None) -> Finding:
    """Compare the image's Python with the clients', or, where nobody said which that is, with this one."""
    wanted = said or THIS_PYTHON
    version = python_of(configuration or {})
    if version is None:
        fix = "use one made from python:X.Y-slim, or see yourself that the versions are the same"
        return warning(PYTHON, "the image does not tell", fix)
    if minor(version) != minor(wanted):
        whose = f"clients run {wanted}" if said else f"this is {wanted}, as your clients may be"
        return (problem if said else warning)(
            PYTHON,
            f"{version}, but {whose}: functions pickled by one do not load in the other",
            f"build one with scaler-batch-provision build-image --python {minor(wanted)}, or run clients with "
            f"Python {minor(version)} (doctor --python says which they run)",
        )
    return ok(PYTHON, f"{version}, as clients run")


def python_of(configuration: Mapping[str, Any]) -> str | None:
    """The version of Python that an image's configuration tells of."""
    config = _object(configuration.get("config"))
    variables = dict(str(one).partition("=")[::2] for one in _array(config.get("Env")))
    told = _object(config.get("Labels")).get(PYTHON_LABEL) or variables.get(PYTHON_VARIABLE)
    return str(told) if told else None


def minor(version: str) -> str:
    """The two numbers that have to be the same."""
    return ".".join(version.split(".")[:2])


def configuration_digest(manifest: Mapping[str, Any]) -> str | None:
    """Where a manifest says that the configuration is."""
    digest = _object(manifest.get("config")).get("digest")
    return str(digest) if digest else None


def platform_digest(index: Mapping[str, Any], architecture: str) -> str | None:
    """Which manifest of several is for an architecture."""
    for one in map(_object, _array(index.get("manifests"))):
        if _object(one.get("platform")).get("architecture") == architecture and "digest" in one:
            return str(one["digest"])
    return None


def _object(value: Any) -> Mapping[str, Any]:
    """What should be an object and, in an image that somebody else made, may be anything."""
    return value if isinstance(value, dict) else {}


def _array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _digest(ecr: EcrClient, at: Location) -> str | None:
    """What the image is; ``None`` where it is not there."""
    found = unless_missing(
        lambda: ecr.describe_images(
            registryId=at.account, repositoryName=at.repository, imageIds=[dict(at.identifier)]
        ),
        "ImageNotFoundException",
        "RepositoryNotFoundException",
    )
    return str(found["imageDetails"][0]["imageDigest"]) if found and found["imageDetails"] else None


def _configuration(ecr: EcrClient, at: Location, architecture: Architecture) -> Mapping[str, Any] | None:
    """The configuration of an image; of an image for several architectures, that for this one."""
    manifest = _manifest(ecr, at, at.identifier)
    if "manifests" in manifest and not platform_digest(manifest, architecture):
        others = [_object(_object(one).get("platform")).get("architecture") for one in _array(manifest["manifests"])]
        return {"architecture": ", ".join(sorted({str(one) for one in others if one}))}
    if digest := platform_digest(manifest, architecture):
        manifest = _manifest(ecr, at, {"imageDigest": digest})
    digest = configuration_digest(manifest)
    if digest is None:
        return None
    url = ecr.get_download_url_for_layer(registryId=at.account, repositoryName=at.repository, layerDigest=digest)
    return _fetch(url["downloadUrl"])


def _manifest(ecr: EcrClient, at: Location, identifier: Mapping[str, str]) -> Mapping[str, Any]:
    answer = ecr.batch_get_image(
        registryId=at.account,
        repositoryName=at.repository,
        imageIds=[dict(identifier)],
        acceptedMediaTypes=list(_MEDIA_TYPES),
    )
    return _object(json.loads(answer["images"][0]["imageManifest"])) if answer["images"] else {}


def _fetch(url: str) -> Mapping[str, Any] | None:
    """Read a configuration from the address that ECR signed for it."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - ECR's own address
            found = json.loads(answer.read(_LARGEST))
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise UnreachableError(f"could not read the image's configuration: {error}", fix="try again") from error
    return found if isinstance(found, dict) else None
