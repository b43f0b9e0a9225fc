"""Calls and outcomes as bytes: packed, compressed, checksummed, and placed inline or in S3.

The two directions, and who goes which way::

    task manager   encode_pack ─► place ─► job parameter or store ─► inline_pack ─► decode_bundle   runner
    task manager   decode_outcomes ◄──────────── store ◄─────────────────────────── encode_outcomes  runner

``scaler_batch.payload.s3`` holds the store (install the extra ``[s3]``), ``scaler_batch.payload.calls`` turns bytes
into Python objects and is for the container only, ``scaler_batch.payload.contract`` names everything that crosses the
container wall.
"""

from scaler_batch.payload.errors import PayloadError
from scaler_batch.payload.keys import RunLocation
from scaler_batch.payload.outcomes import Origin, Outcome, Status, Usage, decode_outcomes, encode_outcomes
from scaler_batch.payload.pack import Call, decode_bundle, encode_pack
from scaler_batch.payload.placement import Placement, inline_pack, place
from scaler_batch.payload.store import BlockingStore, Store

__version__ = "0.1.0"

__all__ = [
    "BlockingStore",
    "Call",
    "Origin",
    "Outcome",
    "PayloadError",
    "Placement",
    "RunLocation",
    "Status",
    "Store",
    "Usage",
    "decode_bundle",
    "decode_outcomes",
    "encode_outcomes",
    "encode_pack",
    "inline_pack",
    "place",
]
