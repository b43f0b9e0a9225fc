"""Layers of images in ECR."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS

DIGEST = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"


def refused(ecr: Any, repository: str) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=DIGEST)
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_layer_that_cannot_be_had_is_refused_as_ecr_refuses_it(aws: LocalAWS) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="layers")
    assert refused(ecr, "no-such-repository") == ("RepositoryNotFoundException", 400)
    assert refused(ecr, "layers") == ("LayersNotFoundException", 400)
    upload = ecr.initiate_layer_upload(repositoryName="layers")["uploadId"]
    ecr.upload_layer_part(
        repositoryName="layers", uploadId=upload, partFirstByte=0, partLastByte=4, layerPartBlob=b"layer"
    )
    ecr.complete_layer_upload(repositoryName="layers", uploadId=upload, layerDigests=[DIGEST])
    assert refused(ecr, "layers") == ("LayerInaccessibleException", 400)
    ecr.close()
