"""The bucket that packs and outcomes lie in.

Everything under the task prefix expires: the task manager removes what it wrote, and expiry is the backstop for the day
it could not. Nobody outside the account sees anything, nothing travels unencrypted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from scaler_batch.aws import DENIED, ServiceError, classify_code, code_of, unless_missing
from scaler_batch.provision.policies import canonical
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CreateBucketConfigurationTypeDef,
        LifecycleRuleOutputTypeDef,
        ObjectIdentifierTypeDef,
        TagTypeDef,
    )

    from scaler_batch.provision.policies import Document
    from scaler_batch.provision.waiting import Waiter

ENCRYPTION: Final = "AES256"
"""With keys that S3 keeps: no key to pay for, to permit or to lose."""

_REGION_WITHOUT_CONSTRAINT: Final = "us-east-1"
"""S3 takes no location constraint for its first region."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """A rule that removes what has lain too long.

    Attributes:
        prefix: Begins the keys it is about, with a slash at its end.
        days: Age at which an object, or an upload that was never finished, is removed.
    """

    prefix: str
    days: int


@dataclass(frozen=True, slots=True)
class BucketSpecification(Specification):
    """A bucket.

    Attributes:
        public_access_blocked: Whether each of the four doors to the public is shut.
        encryption: How objects are encrypted at rest.
        policy: Who may not do what, as an IAM document.
        expiry: Rules that are in force.
    """

    public_access_blocked: bool
    encryption: str | None
    policy: Document | None
    expiry: tuple[Expiry, ...]


_SOMEBODY_ELSES: Final = BucketSpecification(False, None, None, ())


class BucketHandler(Handler[BucketSpecification]):
    """Looks after the bucket."""

    def __init__(self, s3: S3Client, waiter: Waiter, *, account: str, region: str) -> None:
        self._s3 = s3
        self._waiter = waiter
        _say_whose(s3, account)
        self._region = region

    def observe(self, name: str) -> Observed[BucketSpecification] | None:
        """Look at the bucket; one of another account is there, but without anything that makes it ours."""
        arn = f"arn:{self._s3.meta.partition}:s3:::{name}"
        try:
            self._s3.head_bucket(Bucket=name)
        except Exception as error:
            if code_of(error) in ("404", "NoSuchBucket"):
                return None
            if code_of(error) in DENIED:
                return Observed(name, arn, _SOMEBODY_ELSES, {})
            raise
        tags = self._tags(name)
        return Observed(name, arn, self._specification(name), tags)

    def create(self, wanted: Wanted[BucketSpecification]) -> None:
        """Make it, already tagged, then set all the rest."""
        configuration: CreateBucketConfigurationTypeDef = {"Tags": _tag_list(wanted.tags)}
        if self._region != _REGION_WITHOUT_CONSTRAINT:
            configuration["LocationConstraint"] = cast("Any", self._region)
        once_accepted(
            self._waiter,
            f"bucket {wanted.name}, after one of the same name was removed",
            lambda: self._s3.create_bucket(Bucket=wanted.name, CreateBucketConfiguration=configuration),
            "OperationAborted",
        )
        # Not every S3 takes tags at creation.
        self._accepted(wanted, lambda made: self.tag(made.arn, made.tags))
        self.change(wanted, self._setters())

    def change(self, wanted: Wanted[BucketSpecification], fields: Collection[str]) -> None:
        """Set these fields, each by a call of its own."""
        for field, setter in self._setters().items():
            if field in fields:
                self._accepted(wanted, setter)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add these tags. The call replaces all there are, so others' go along."""
        name = arn.rpartition(":")[2]
        present = self._tags(name)
        if not tags.items() <= present.items():
            self._s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _tag_list({**present, **tags})})

    def remove(self, observed: Observed[BucketSpecification]) -> None:
        """Remove all objects in all versions, uploads that were never finished, and the bucket."""
        unless_missing(lambda: self._empty_and_delete(observed.name), "NoSuchBucket")

    def _setters(self) -> dict[str, Callable[[Wanted[BucketSpecification]], object]]:
        return {
            "public_access_blocked": self._put_public_access_block,
            "encryption": self._put_encryption,
            "policy": self._put_policy,
            "expiry": self._put_expiry,
        }

    def _accepted(
        self, wanted: Wanted[BucketSpecification], setter: Callable[[Wanted[BucketSpecification]], object]
    ) -> None:
        what = f"bucket {wanted.name}"
        once_accepted(self._waiter, what, lambda: setter(wanted), "NoSuchBucket", "OperationAborted")

    def _put_public_access_block(self, wanted: Wanted[BucketSpecification]) -> None:
        self._s3.put_public_access_block(
            Bucket=wanted.name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )

    def _put_encryption(self, wanted: Wanted[BucketSpecification]) -> None:
        algorithm = cast("Literal['AES256']", wanted.specification.encryption)
        self._s3.put_bucket_encryption(
            Bucket=wanted.name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
            },
        )

    def _put_policy(self, wanted: Wanted[BucketSpecification]) -> None:
        self._s3.put_bucket_policy(Bucket=wanted.name, Policy=json.dumps(wanted.specification.policy))

    def _put_expiry(self, wanted: Wanted[BucketSpecification]) -> None:
        self._s3.put_bucket_lifecycle_configuration(
            Bucket=wanted.name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": f"expire {rule.prefix}",
                        "Status": "Enabled",
                        "Filter": {"Prefix": rule.prefix},
                        "Expiration": {"Days": rule.days},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": rule.days},
                    }
                    for rule in wanted.specification.expiry
                ]
            },
        )

    def _specification(self, name: str) -> BucketSpecification:
        return BucketSpecification(
            public_access_blocked=self._public_access_blocked(name),
            encryption=self._encryption(name),
            policy=self._policy(name),
            expiry=self._expiry(name),
        )

    def _tags(self, name: str) -> dict[str, str]:
        found = unless_missing(lambda: self._s3.get_bucket_tagging(Bucket=name), "NoSuchTagSet")
        return {tag["Key"]: tag["Value"] for tag in found["TagSet"]} if found else {}

    def _public_access_blocked(self, name: str) -> bool:
        found = unless_missing(
            lambda: self._s3.get_public_access_block(Bucket=name), "NoSuchPublicAccessBlockConfiguration"
        )
        return found is not None and all(found["PublicAccessBlockConfiguration"].values())

    def _encryption(self, name: str) -> str | None:
        found = unless_missing(
            lambda: self._s3.get_bucket_encryption(Bucket=name), "ServerSideEncryptionConfigurationNotFoundError"
        )
        rules = found["ServerSideEncryptionConfiguration"]["Rules"] if found else []
        defaults = (rule.get("ApplyServerSideEncryptionByDefault") for rule in rules)
        return next((default["SSEAlgorithm"] for default in defaults if default), None)

    def _policy(self, name: str) -> Document | None:
        found = unless_missing(lambda: self._s3.get_bucket_policy(Bucket=name), "NoSuchBucketPolicy")
        return canonical(json.loads(found["Policy"])) if found else None

    def _expiry(self, name: str) -> tuple[Expiry, ...]:
        found = unless_missing(
            lambda: self._s3.get_bucket_lifecycle_configuration(Bucket=name), "NoSuchLifecycleConfiguration"
        )
        rules = found.get("Rules", []) if found else []
        return tuple(_expiry(rule) for rule in rules if rule["Status"] == "Enabled")

    def _empty_and_delete(self, name: str) -> None:
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=name):
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            self._delete_objects(name, [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed])
        for uploads in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
            for upload in uploads.get("Uploads", []):
                self._s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        self._s3.delete_bucket(Bucket=name)

    def _delete_objects(self, name: str, objects: list[ObjectIdentifierTypeDef]) -> None:
        """Delete up to a page of objects. S3 reports refusals of single ones under an answer of 200."""
        if not objects:
            return
        answer = self._s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        for refused in answer.get("Errors", [])[:1]:
            code = refused["Code"]
            message = f"{code} when calling the DeleteObjects operation: {refused['Message']}"
            raise ServiceError(message, classify_code(code), code=code, operation="DeleteObjects")


def _say_whose(s3: S3Client, account: str) -> None:
    """Have every call say whose the bucket must be.

    Names of buckets can be guessed, and one that is free, after a cleanup say, belongs to whoever takes it first.
    """

    def add_owner(params: Mapping[str, Any], model: Any, **_: Any) -> Mapping[str, Any]:
        takes_owner = "ExpectedBucketOwner" in model.input_shape.members
        return {**params, "ExpectedBucketOwner": account} if takes_owner else params

    events: Any = s3.meta.events  # whose types know no handlers that return something
    events.register("provide-client-params.s3", add_owner)


def _tag_list(tags: Any) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _expiry(rule: LifecycleRuleOutputTypeDef) -> Expiry:
    """What a rule comes to; one of another making comes to something that is never wanted, and so is replaced."""
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    days = rule.get("Expiration", {}).get("Days", 0)
    aborted = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0)
    return Expiry(prefix, days if days == aborted else 0)
