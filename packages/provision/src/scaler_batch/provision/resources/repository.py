"""The ECR repository for the image that we build ourselves, and the image in it.

Images are pushed by an :class:`ImageSource`: how an image is built is no matter of AWS. Its tag follows from what goes
into it, so an image that is there under that tag is the image that is wanted, and nothing is built twice.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler_batch.provision.resources.clients import EcrClient

KEPT_IMAGES = 3
FIXED: Final = "IMMUTABLE"
TAG_PREFIX = "built-"
"""Begins the tags of images that are built here. Images with other tags are the user's: nothing removes them."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a registry wants to see before it takes an image; never shown, never written anywhere."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Login({self.username!r})"


class ImageSource(Protocol):
    """Brings an image that has a tag before it is built."""

    @property
    def tag(self) -> str:
        """The tag; the same for the same content."""

    def check(self) -> None:
        """See that it can be built: raises :class:`~scaler_batch.provision.errors.EngineError` where it cannot."""

    def push(self, repository: str, login: Login) -> None:
        """Build the image and push it, under its tag, to the repository of this URI."""


@dataclass(frozen=True, slots=True)
class RepositorySpecification(Specification):
    """A repository.

    Attributes:
        image_tag: The image that is wanted in it, or was found when it was looked for; ``None`` for no certain one.
        scan_on_push: Whether ECR looks for known weaknesses in what arrives.
        kept_images: How many images that were built here stay when newer ones come; ``None`` for all.
        tags_are_fixed: Whether a tag that is taken stays with its image, whoever pushes.
        image_digest: What the wanted image is, where it is there; untold where it is not, or none is wanted.
    """

    image_tag: str | None = None
    scan_on_push: bool = True
    kept_images: int | None = KEPT_IMAGES
    tags_are_fixed: bool = True
    image_digest: str | Untold = Untold.UNTOLD


class RepositoryHandler(Handler[RepositorySpecification]):
    """Looks after the repository.

    Args:
        ecr: Reaches the service.
        source: Brings the image, where one is to be in the repository.
    """

    def __init__(self, ecr: EcrClient, source: ImageSource | None = None) -> None:
        self._ecr = ecr
        self._source = source

    def observe(self, name: str) -> Observed[RepositorySpecification] | None:
        """Look at the repository, and whether the image of the source is in it."""
        found = unless_missing(
            lambda: self._ecr.describe_repositories(repositoryNames=[name]), "RepositoryNotFoundException"
        )
        if found is None:
            return None
        (repository,) = found["repositories"]
        arn = repository["repositoryArn"]
        tags = {tag["Key"]: tag["Value"] for tag in self._ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
        return Observed(name, arn, self._specification(name, repository), tags)

    def create(self, wanted: Wanted[RepositorySpecification]) -> None:
        """Make it, and fill it."""
        self._ecr.create_repository(
            repositoryName=wanted.name,
            imageScanningConfiguration={"scanOnPush": wanted.specification.scan_on_push},
            imageTagMutability=FIXED if wanted.specification.tags_are_fixed else "MUTABLE",
            tags=_tag_list(wanted.tags),
        )
        self.change(wanted, ("kept_images", "image_tag"))

    def change(self, wanted: Wanted[RepositorySpecification], fields: Collection[str]) -> None:
        """Set these fields; a missing image is built and pushed."""
        specification = wanted.specification
        if "scan_on_push" in fields:
            scanning = {"scanOnPush": specification.scan_on_push}
            self._ecr.put_image_scanning_configuration(repositoryName=wanted.name, imageScanningConfiguration=scanning)
        if "tags_are_fixed" in fields:
            mutability = FIXED if specification.tags_are_fixed else "MUTABLE"
            self._ecr.put_image_tag_mutability(repositoryName=wanted.name, imageTagMutability=mutability)
        if "kept_images" in fields:
            policy = json.dumps(lifecycle(specification.kept_images or KEPT_IMAGES))
            self._ecr.put_lifecycle_policy(repositoryName=wanted.name, lifecyclePolicyText=policy)
        if "image_tag" in fields and self._source:
            self._push(wanted.name, self._source)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._ecr.tag_resource(resourceArn=arn, tags=_tag_list(tags))

    def remove(self, observed: Observed[RepositorySpecification]) -> None:
        """Remove it with all its images."""
        unless_missing(
            lambda: self._ecr.delete_repository(repositoryName=observed.name, force=True),
            "RepositoryNotFoundException",
        )

    def _push(self, name: str, source: ImageSource) -> None:
        (repository,) = self._ecr.describe_repositories(repositoryNames=[name])["repositories"]
        (granted,) = self._ecr.get_authorization_token()["authorizationData"]
        source.push(repository["repositoryUri"], _login(granted["authorizationToken"]))

    def _specification(self, name: str, repository: dict[str, Any]) -> RepositorySpecification:
        digest = self._digest(name, self._source.tag) if self._source else None
        return RepositorySpecification(
            image_tag=self._source.tag if self._source and digest else None,
            scan_on_push=bool(repository.get("imageScanningConfiguration", {}).get("scanOnPush")),
            kept_images=self._kept_images(name),
            tags_are_fixed=repository.get("imageTagMutability") == FIXED,
            image_digest=digest or Untold.UNTOLD,
        )

    def _digest(self, name: str, tag: str) -> str | None:
        found = unless_missing(
            lambda: self._ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}]),
            "ImageNotFoundException",
        )
        return str(found["imageDetails"][0]["imageDigest"]) if found and found["imageDetails"] else None

    def _kept_images(self, name: str) -> int | None:
        """The number in a policy like ours; ``None`` for any other policy, which is then replaced."""
        found = unless_missing(
            lambda: self._ecr.get_lifecycle_policy(repositoryName=name), "LifecyclePolicyNotFoundException"
        )
        rules = json.loads(found["lifecyclePolicyText"])["rules"] if found else []
        count = rules[0].get("selection", {}).get("countNumber", 0) if len(rules) == 1 else 0
        return count if rules == lifecycle(count)["rules"] else None


def lifecycle(kept: int) -> dict[str, Any]:
    """The policy that keeps so many of the images that were built here, the newest ones."""
    built = {"tagStatus": "tagged", "tagPrefixList": [TAG_PREFIX]}
    selection = {**built, "countType": "imageCountMoreThan", "countNumber": kept}
    rule = {"rulePriority": 1, "description": f"keep {kept}", "selection": selection, "action": {"type": "expire"}}
    return {"rules": [rule]}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _login(token: str) -> Login:
    username, _, password = base64.b64decode(token).decode().partition(":")
    return Login(username, password)
