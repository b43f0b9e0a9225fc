"""Repositories, with addresses of their partition, and layers of images, which moto takes and does not give back."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.models import Repository
from moto.ecr.responses import ECRResponse

from ..batch.vocabulary import SUFFIX, SUFFIXES


class LayersNotFoundException(ServiceException):
    """The repository has no such layer."""

    code = "LayersNotFoundException"


class LayerInaccessibleException(ServiceException):
    """The layer is there, and cannot be downloaded."""

    code = "LayerInaccessibleException"


def install() -> None:
    """Have moto's ECR refuse to give layers away, where it fails otherwise, and name repositories as AWS does."""
    by_moto = Repository.__init__

    def begin(repository: Repository, *arguments: Any, **named: Any) -> None:
        by_moto(repository, *arguments, **named)
        partition = repository.arn.split(":")[1]
        repository.uri = repository.uri.replace(SUFFIX, SUFFIXES.get(partition, SUFFIX))

    Repository.__init__ = begin  # type: ignore[method-assign,assignment]
    ECRResponse.get_download_url_for_layer = _get_download_url_for_layer  # type: ignore[assignment,method-assign]


def _get_download_url_for_layer(self: ECRResponse) -> ActionResult:
    name, digest = self._get_param("repositoryName"), self._get_param("layerDigest")
    found = self.ecr_backend.batch_check_layer_availability(name, [digest], self._get_param("registryId"))
    if not found["layers"]:
        raise LayersNotFoundException(f"The layer with digest '{digest}' is not in the repository '{name}'")
    raise LayerInaccessibleException(f"The layer with digest '{digest}' cannot be downloaded from a local AWS")
