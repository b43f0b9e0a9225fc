"""The place where the work is done: one target in one account, with clients that reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.naming import Names
from scaler_batch.provision.resources.account import find_account
from scaler_batch.provision.resources.catalogue import Catalogue
from scaler_batch.provision.resources.clients import Clients, translated
from scaler_batch.provision.resources.network import Network, find_network
from scaler_batch.provision.vocabulary import Kind
from scaler_batch.provision.waiting import Patience, Waiter

if TYPE_CHECKING:
    import boto3

    from scaler_batch.provision.apply import Audience
    from scaler_batch.provision.resources.repository import ImageSource
    from scaler_batch.provision.settings import Settings, Target
    from scaler_batch.provision.vocabulary import Observed, Owner


@dataclass(frozen=True, slots=True)
class Site:
    """One target in one account.

    Attributes:
        names: What everything is called there.
        clients: What can be asked.
        waiter: Bounds all waits.
    """

    names: Names
    clients: Clients
    waiter: Waiter

    @classmethod
    def open(
        cls,
        target: Target,
        session: boto3.Session,
        waiter: Waiter,
        endpoint_url: str | None = None,
    ) -> Site:
        """Find out whose account it is, and make everything ready.

        Raises:
            CredentialsError: The session's credentials do not serve.
            UnreachableError: No answer came.
        """
        with translated("find out whose credentials these are"):
            clients = Clients.of(session, target.region, endpoint_url)
            names = Names(target, find_account(clients.sts))
        return cls(names, clients, waiter)

    def catalogue(self, owner: Owner | None = None, image: ImageSource | None = None) -> Catalogue:
        """What observes, makes, changes and removes resources.

        Args:
            owner: Whose they are; ``None`` to look at whatever there is.
            image: Brings the image, where one is to be in the repository.
        """
        return Catalogue(self.clients, self.waiter, self.names, owner, image)

    def network(self, settings: Settings, own_group: Observed[Any] | None) -> Network:
        """Find the network that instances go into.

        Args:
            settings: What the user chose.
            own_group: The security group of our own, as it was found.

        Raises:
            ConflictError: There is none, or instances could not work in it.
        """
        with translated("look at the network"):
            return find_network(self.clients.ec2, settings, own_group, self.names.of(Kind.SECURITY_GROUP))


def open_site(
    target: Target,
    session: boto3.Session,
    endpoint_url: str | None,
    audience: Audience,
    patience: Patience | None,
) -> Site:
    """Open a site where the audience is told of every wait."""
    waiter = Waiter(patience=patience or Patience(), notify=audience.waiting)
    return Site.open(target, session, waiter, endpoint_url)
