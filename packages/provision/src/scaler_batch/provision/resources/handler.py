"""What a module of ``resources`` offers for its kind of resource.

A handler keeps no state: it looks and acts. *Making* is one call that leaves something with our tag, followed by the
same calls that *changing* makes; so what an interruption leaves half made is found as a difference and mended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic

from scaler_batch.provision.vocabulary import SpecificationT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler_batch.provision.vocabulary import Observed, Owner, Wanted


class Handler(ABC, Generic[SpecificationT]):
    """Looks after one kind of resource."""

    @abstractmethod
    def observe(self, name: str) -> Observed[SpecificationT] | None:
        """Look at the resource of this name; ``None`` when there is none."""

    @abstractmethod
    def create(self, wanted: Wanted[SpecificationT]) -> str | None:
        """Make it whole; return its ARN where that says more than ``wanted.arn``."""

    @abstractmethod
    def change(self, wanted: Wanted[SpecificationT], fields: Collection[str]) -> str | None:
        """Bring these fields of the specification to what is wanted; return the ARN as :meth:`create` does."""

    @abstractmethod
    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Give these tags to the resource of this ARN; tags of other names stay."""

    def adopt(self, observed: Observed[SpecificationT], owner: Owner) -> None:
        """Put the owner's tags on one that is there."""
        self.tag(observed.arn, owner.tags)

    def settle(self, name: str) -> None:
        """Wait until others may rely on it. Most kinds are ready when made."""

    @abstractmethod
    def remove(self, observed: Observed[SpecificationT]) -> None:
        """Remove it, and wait until it is gone."""
