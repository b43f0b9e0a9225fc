"""AWS on one machine: Batch, S3 and what surrounds them, with jobs as local processes."""

from __future__ import annotations

from .aws import LocalAWS
from .errors import LocalError
from .settings import LocalSettings
from .web.counters import Counters

__version__ = "0.1.0"

__all__ = ["Counters", "LocalAWS", "LocalError", "LocalSettings", "__version__"]
