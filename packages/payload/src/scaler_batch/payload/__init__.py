"""Calls and outcomes as bytes: packed, compressed, checksummed, and placed inline or in S3."""

__version__ = "0.1.0"
