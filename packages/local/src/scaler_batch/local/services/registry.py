"""Layers of images, which moto's ECR takes and does not give back."""

from __future__ import annotations

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse


class LayersNotFoundException(ServiceException):
    """The repository has no such layer."""

    code = "LayersNotFoundException"


class LayerInaccessibleException(ServiceException):
    """The layer is there, and cannot be downloaded."""

    code = "LayerInaccessibleException"


def install() -> None:
    """Have moto's ECR refuse to give layers away, where it fails otherwise."""
    ECRResponse.get_download_url_for_layer = _get_download_url_for_layer  # type: ignore[assignment,method-assign]


def _get_download_url_for_layer(self: ECRResponse) -> ActionResult:
    name, digest = self._get_param("repositoryName"), self._get_param("layerDigest")
    found = self.ecr_backend.batch_check_layer_availability(name, [digest], self._get_param("registryId"))
    if not found["layers"]:
        raise LayersNotFoundException(f"The layer with digest '{digest}' is not in the repository '{name}'")
    raise LayerInaccessibleException(f"The layer with digest '{digest}' cannot be downloaded from a local AWS")
