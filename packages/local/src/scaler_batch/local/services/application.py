"""moto's WSGI application, which sends each request to the service that it is meant for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, cast

from moto.core.common_models import BaseModel
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import buckets, listings, log_events, objects, policies, registry

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def moto_application() -> WSGIApplication:
    """Make the application, without some habits of moto's that a server which is used hard cannot afford."""
    buckets.install()
    listings.install()
    log_events.install()
    objects.install()
    policies.install()
    registry.install()
    werkzeug_app.DISABLE_GLOBAL_CORS = True  # type: ignore[attr-defined]  # answers are not for web pages
    BaseModel.__new__ = _untracked  # type: ignore[method-assign]
    return cast("WSGIApplication", _Dispatcher(create_backend_app))


_CLOSED: Final = frozenset({"moto_api", "instance_metadata"})
"""What moto offers besides AWS: a reset for everybody, and credentials for instances, of which there are none here."""


class _Dispatcher(DomainDispatcherApplication):
    """Remembers which service a host name means: moto looks through some 175 files for every request otherwise."""

    @functools.cache  # noqa: B019 - one object, which lives as long as the process
    def get_backend_for_host(self, host: str | None) -> object:
        """The service behind a host name such as ``batch.us-east-1.amazonaws.com``; None for what is closed."""
        service = super().get_backend_for_host(host)
        return None if service in _CLOSED else service


def _untracked(cls: type[BaseModel], *_: object, **__: object) -> BaseModel:
    """Make an object without entering it in moto's list of all objects there ever were, deleted ones included."""
    return object.__new__(cls)


def reset_everything() -> None:
    """Forget all resources of all services."""
    from moto.core.base_backend import BackendDict

    BackendDict.reset()
