"""The place where the work is done: one target in one account, with clients that reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_batch.provision.naming import Names
from scaler_batch.provision.resources.catalogue import Catalogue
from scaler_batch.provision.resources.clients import Clients, translated
from scaler_batch.provision.resources.surroundings import find_account, find_default_network

if TYPE_CHECKING:
    import boto3

    from scaler_batch.provision.resources.surroundings import Network
    from scaler_batch.provision.settings import Target
    from scaler_batch.provision.waiting import Waiter


@dataclass(frozen=True, slots=True)
class Site:
    """One target in one account.

    Attributes:
        names: What everything is called there.
        catalogue: What observes, makes, changes and removes it.
        clients: What else can be asked.
    """

    names: Names
    catalogue: Catalogue
    clients: Clients

    @classmethod
    def open(cls, target: Target, session: boto3.Session, waiter: Waiter, endpoint_url: str | None = None) -> Site:
        """Find out whose account it is, and make everything ready.

        Raises:
            CredentialsError: The session's credentials do not serve.
            UnreachableError: No answer came.
        """
        with translated("find out whose credentials these are"):
            clients = Clients.of(session, target.region, endpoint_url)
            names = Names(target, find_account(clients.sts))
        return cls(names, Catalogue(clients, waiter, names), clients)

    def network(self) -> Network:
        """Find the network that instances go into.

        Raises:
            ConflictError: There is none by default.
        """
        with translated("look at the default network"):
            return find_default_network(self.clients.ec2)
