"""TLS on the links: what is verified, and what to do when it fails.

The peer's certificate must be signed by a known CA, be in date, and be made out to the host of the address; nothing
turns that off. Scaler's programs take a certificate and a key where they listen; neither they nor its clients verify
anybody. A client certificate is therefore of use only where something else, such as a proxy, stands before them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from .errors import TlsError

T = TypeVar("T")

_EXPIRED, _NOT_YET, _WRONG_NAME = (10,), (9,), (62, 64)
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
"""OpenSSL's codes of what is wrong with a certificate, as `ssl.SSLCertVerificationError.verify_code` has them."""

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "UNKNOWN")
_WANTS_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "HANDSHAKE_FAILURE")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """What TLS takes at this end; without effect where an address is not encrypted.

    Attributes:
        ca: PEM file of the CAs that may have signed the peer's certificate, or of that certificate itself; those that
            the system trusts where none is given.
        certificate: PEM file of this end's own certificate and its chain, for a peer that asks for one.
        key: PEM file of the private key to it.
        server_name: the name that the peer's certificate must bear, where that is not the host of the address.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files. They are read again for each connection, so that renewed ones are used.

        Raises:
            TlsError: a file cannot be read or does not hold what it should.
        """
        if (self.certificate is None) != (self.key is None):
            raise TlsError("a client certificate needs both --tls-cert and --tls-key")
        context = _read("--tls-ca", self.ca, lambda: ssl.create_default_context(cafile=self.ca))
        # As Python 3.13 has it by itself: a file with the server's own certificate will do.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.certificate is not None:
            files = f"{self.certificate} and {self.key}"
            # A key with a passphrase would be asked for at the terminal, where nobody may sit.
            _read("--tls-cert, --tls-key", files, lambda: _load_pair(context, self.certificate, self.key))
        return context


DEFAULT_TLS = TlsSettings()


def _load_pair(context: ssl.SSLContext, certificate: str | None, key: str | None) -> None:
    context.load_cert_chain(certificate or "", key, password="")


def _read(option: str, files: str | None, read: Callable[[], T]) -> T:
    try:
        return read()
    except ssl.SSLError as error:  # also a pair that does not match, and a passphrase
        what = "the certificates of a CA" if option == "--tls-ca" else "a certificate and its key without a passphrase"
        raise TlsError(f"{files}: not PEM with {what}: {error.reason or error} ({option})") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise TlsError(f"{files} cannot be read: {why} ({option})") from error


def explain(error: ssl.SSLError) -> str:
    """Say what went wrong between the two ends, and what helps."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    reason = (error.reason or str(error)).upper()
    if any(word in reason for word in _WANTS_CERTIFICATE):
        return f"it does not accept our certificate, or wants one: give --tls-cert and --tls-key ({_said(error)})"
    if any(word in reason for word in _NOT_TLS):
        return (
            "it answers without TLS: if it is meant to be unencrypted use tcp:// for tls:// or ws:// for wss://, else "
            f"start it with --tls-cert, --tls-key and an address of the same scheme ({_said(error)})"
        )
    return f"TLS failed: {_said(error)}"


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    code, said = error.verify_code, error.verify_message.rstrip(".")
    if code in _EXPIRED:
        return "its certificate has expired: renew it where the scheduler or object storage runs"
    if code in _NOT_YET:
        return "its certificate is not valid yet: compare the clocks of the two machines"
    if code in _WRONG_NAME:
        return (
            f"its certificate is made out to somebody else ({said}): connect by a name or address that it lists, or "
            "say with --tls-server-name which of its names to expect"
        )
    if code in _UNKNOWN_ISSUER:
        return f"its certificate is signed by nobody that is trusted here ({said}): name its CA's file with --tls-ca"
    return f"its certificate is not accepted: {said}"


def _said(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
