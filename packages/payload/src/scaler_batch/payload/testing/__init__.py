"""Doubles of this package's ports, for the tests of its users: a store in memory, and an S3 that fails as told."""

from scaler_batch.payload.testing.faulty_s3 import Answer, Fault, FaultyS3, Hang, Reset
from scaler_batch.payload.testing.memory import BlockingMemoryStore, MemoryStore

__all__ = ["Answer", "BlockingMemoryStore", "Fault", "FaultyS3", "Hang", "MemoryStore", "Reset"]
