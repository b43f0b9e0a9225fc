"""Whether the bucket is there, and lets the worker do what it does: write, read, list and remove under the prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scaler_batch.aws import bucket_region
from scaler_batch.provision.errors import AwsError
from scaler_batch.provision.finding import Finding, ok, problem
from scaler_batch.provision.resources.clients import translated

if TYPE_CHECKING:
    from scaler_batch.provision.checks.scene import Scene

SUBJECT: Final = "bucket"
PROBE: Final = "doctor-probe"
"""Object that is written, read and removed again."""


def check(scene: Scene) -> Finding:
    """Look at the bucket, and go once through everything that the worker does in it."""
    try:
        with translated(f"use bucket {scene.names.bucket}"):
            region = bucket_region(scene.clients.s3, scene.names.bucket, scene.task_prefix)
            _exercise(scene)
    except AwsError as error:
        if not error.code:
            raise  # AWS was not reached, which says nothing of the bucket
        if error.operation == "HeadBucket":
            return absent(scene.names.bucket, error.code)
        return forbidden(scene, error.operation, error.code)
    if region not in (None, scene.names.region):
        return elsewhere(scene.names.bucket, region, scene.names.region)
    return ok(SUBJECT, f"{scene.names.bucket}: write, read, list and remove under {scene.task_prefix}/")


def absent(bucket: str, code: str) -> Finding:
    """It is not there, or not for us."""
    if code in ("404", "NoSuchBucket"):
        return problem(SUBJECT, f"there is no bucket {bucket}", "run the provisioner, or look at SCALER_S3_BUCKET")
    if code in ("301", "400", "PermanentRedirect"):
        return problem(SUBJECT, f"bucket {bucket} lies in another region", "give the worker the bucket's --aws-region")
    fix = "see that the bucket is yours, and that you may s3:ListBucket it; its policy may say no as well"
    return problem(SUBJECT, f"you may not look at bucket {bucket} ({code})", fix)


def elsewhere(bucket: str, region: str, wanted: str) -> Finding:
    """It is there, and in a region in which no job looks for it."""
    return problem(
        SUBJECT,
        f"bucket {bucket} lies in {region}, and queue and job definition in {wanted}",
        f"use a bucket in {wanted}, or a queue and a job definition in {region}",
    )


def forbidden(scene: Scene, operation: str, code: str) -> Finding:
    """One of the calls was refused."""
    return problem(
        SUBJECT,
        f"{operation} under {scene.task_prefix}/ of {scene.names.bucket}: {code}",
        "allow your identity s3:PutObject, s3:GetObject, s3:DeleteObject under that prefix, and s3:ListBucket",
    )


def _exercise(scene: Scene) -> None:
    s3, bucket, key = scene.clients.s3, scene.names.bucket, f"{scene.task_prefix}/{PROBE}"
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
    s3.get_object(Bucket=bucket, Key=key)["Body"].close()
    s3.list_objects_v2(Bucket=bucket, Prefix=f"{scene.task_prefix}/", MaxKeys=1)
    s3.delete_object(Bucket=bucket, Key=key)
