"""AWS's models, which every session of boto3 would read anew.

moto makes a session for each service while it is imported, and ours make more; each reads a megabyte of endpoints, and
clients read the models of their services. In a server's process all sessions share one loader, which reads each once.
"""

from __future__ import annotations

import functools

import botocore.session


def share() -> None:
    """Have all sessions of this process share their models. To be called before moto is imported."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
