"""A certificate for the tests that speak TLS, made anew at each run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from unittest import SkipTest

import twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def needTLSEndpoint() -> None:
    """Skip the test where Twisted has no server endpoint ``tls:``."""
    if tuple(map(int, twisted.__version__.split(".")[:2])) < (26, 4):
        raise SkipTest("tls: needs Twisted 26.4")


@lru_cache(maxsize=1)
def serverPEM() -> bytes:
    """A private key and a certificate for ``localhost`` that it signed itself, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
