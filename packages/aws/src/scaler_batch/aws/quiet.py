"""What the libraries below may say in logs: never a request, never an answer, whatever level is set.

botocore writes every request with its body and its Authorization header at DEBUG, urllib3 the address of each, asyncio
the arguments of callbacks that were slow or failed. Tasks and credentials are in them, and logs are read by more people
than either. So these loggers say warnings and errors and nothing below, also where the root logger or a configuration
file asks for all; whoever wants to see requests can trace a client of their own.
"""

from __future__ import annotations

import logging
import re
from typing import Final

TALKATIVE: Final = ("boto3", "botocore", "docker", "s3transfer", "urllib3")
"""Loggers that show what is sent and received, with all below them."""


class WithoutArguments(logging.Filter):
    """Leaves of asyncio's messages what happened and where, and not with what."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the message before the first thing that is printed with its contents."""
        record.msg, record.args = re.split(r"[(<\n]", record.getMessage(), maxsplit=1)[0].rstrip(), None
        return True


_WITHOUT_ARGUMENTS: Final = WithoutArguments()


def quiet_dependencies() -> None:
    """Keep what is sent and received out of all logs; to be called when logging is set up, and when it changes."""
    known = [name for name, found in logging.root.manager.loggerDict.items() if isinstance(found, logging.Logger)]
    for name in known:
        if name.startswith(tuple(f"{each}." for each in TALKATIVE)):
            logging.getLogger(name).setLevel(logging.NOTSET)  # as the one above says
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger(name).level))
    logging.getLogger("asyncio").addFilter(_WITHOUT_ARGUMENTS)
