"""A certificate authority of one's own, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import trustme

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """Signs certificates and writes them to a folder.

    Attributes:
        folder: Where the files go.
        ca: The authority.
    """

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> Path:
        """Its own certificate, for whoever is to trust it."""
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(path)
        return path

    def pair(self, *names: str, expires: datetime | None = None) -> tuple[Path, Path]:
        """A certificate and its key, for the loopback address where no other names are given."""
        issued = self.ca.issue_cert(*(names or (HOST,)), not_after=expires)
        number = len(list(self.folder.iterdir()))
        certificate, key = self.folder / f"{number}.pem", self.folder / f"{number}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key
