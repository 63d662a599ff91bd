"""Certificates for TLS tests, generated in every run."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from tempfile import NamedTemporaryFile
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@lru_cache(maxsize=1)
def serverPEM() -> bytes:
    """A private key and its self-signed certificate for ``localhost``, valid for a day."""
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


def serverContext(
    pem: bytes | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """
    A TLS context for a server.

    :param pem: a private key, its certificate, and further certificates of its chain;
        :func:`serverPEM` by default.
    :param version: the only TLS version; all versions by default.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile() as file:
        file.write(serverPEM() if pem is None else pem)
        file.flush()
        context.load_cert_chain(file.name)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def clientContext() -> ssl.SSLContext:
    """A TLS context for a client that trusts the certificate of :func:`serverPEM`."""
    certificate = serverPEM().decode()
    start = certificate.index("-----BEGIN CERTIFICATE")
    return ssl.create_default_context(cadata=certificate[start:])


@dataclass(frozen=True)
class Identity:
    """A private key and its certificate."""

    key: Any
    certificate: x509.Certificate

    @property
    def keyPEM(self) -> bytes:
        return self.encryptedPEM(serialization.NoEncryption())

    @property
    def certificatePEM(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """Key and certificate in one file."""
        return self.keyPEM + self.certificatePEM

    def encryptedPEM(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        """The key only."""
        return bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
            )
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return x509.CertificateBuilder(
        issuer_name=_name(issuer),
        subject_name=_name(subject),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )


@cache
def authority(name: str) -> Identity:
    """A certificate authority with this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(True, None), True)
    return Identity(key, builder.sign(key, hashes.SHA256()))


@cache
def issued(name: str, *dnsNames: str, issuer: str = "authority", key: Any = None) -> Identity:
    """
    A client or server identity signed by an authority.

    :param name: its common name.
    :param dnsNames: the host names of the certificate.
    :param issuer: the name of the authority.
    :param key: its key; a new one by default.
    """
    key = key if key is not None else ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, issuer, key)
    if dnsNames:
        names = x509.SubjectAlternativeName([x509.DNSName(dnsName) for dnsName in dnsNames])
        builder = builder.add_extension(names, critical=False)
    return Identity(key, builder.sign(authority(issuer).key, hashes.SHA256()))
