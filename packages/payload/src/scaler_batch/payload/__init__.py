"""Calls and outcomes as bytes: packed, compressed, checksummed, and placed inline or in S3.

The two directions, and who goes which way::

    task manager   encode_pack ─► place ─► job parameter or store ─► locate ─► decode_bundle   runner
    task manager   decode_outcomes ◄─ JobSeal.open ◄─ store ◄─ JobSeal.sign ◄─ encode_outcomes   runner

``scaler_batch.payload.s3`` holds the store (install the extra ``[s3]``), ``scaler_batch.payload.calls`` turns bytes
into Python objects and is for the container only, ``scaler_batch.payload.contract`` names everything that crosses the
container wall.
"""

from scaler_batch.payload.bundles import Bundle, Call, Client, Reference
from scaler_batch.payload.envelope import body_size
from scaler_batch.payload.errors import PayloadError
from scaler_batch.payload.keys import RunLocation
from scaler_batch.payload.objects import decode_object, encode_object
from scaler_batch.payload.outcomes import Failure, Origin, Outcome, Status, Usage, decode_outcomes, encode_outcomes
from scaler_batch.payload.pack import decode_bundle, decode_pack
from scaler_batch.payload.parts import Pack, encode_pack, fetch_bundle
from scaler_batch.payload.placement import Placement, Stored, locate, place
from scaler_batch.payload.seals import JobSeal, RunSeal, Seal, SubmissionSeal
from scaler_batch.payload.store import BlockingStore, ObjectInfo, Store

__version__ = "0.1.0"

__all__ = [
    "BlockingStore",
    "Bundle",
    "Call",
    "Client",
    "Failure",
    "JobSeal",
    "ObjectInfo",
    "Origin",
    "Outcome",
    "Pack",
    "PayloadError",
    "Placement",
    "Reference",
    "RunLocation",
    "RunSeal",
    "Seal",
    "Status",
    "Store",
    "Stored",
    "SubmissionSeal",
    "Usage",
    "body_size",
    "decode_bundle",
    "decode_object",
    "decode_outcomes",
    "decode_pack",
    "encode_object",
    "encode_outcomes",
    "encode_pack",
    "fetch_bundle",
    "locate",
    "place",
]
