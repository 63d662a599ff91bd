"""What the certificate of a server says of itself."""

from __future__ import annotations

# time.strptime() imports it when it is first called, perhaps by a user who may not read it.
import _strptime  # type: ignore[import-not-found]  # noqa: F401
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Certificate:
    """
    A certificate.

    :ivar path: its file.
    :ivar names: its DNS names in lower case; the common name no longer counts (RFC 9525 section 2).
    :ivar notBefore: the beginning of its validity, as OpenSSL writes it: ``Jan  1 00:00:00 2030
        GMT``.
    :ivar notAfter: the end.
    """

    path: str
    names: Sequence[str]
    notBefore: str
    notAfter: str

    def whyInvalid(self, now: float) -> str | None:
        """
        Why clients refuse it, in one line; ``None`` if it is valid.

        :param now: seconds since the epoch, by the wall clock.
        """
        if now < ssl.cert_time_to_seconds(self.notBefore):
            reason = f"is not valid before {self.notBefore}"
        elif now > ssl.cert_time_to_seconds(self.notAfter):
            reason = f"expired on {self.notAfter}"
        else:
            return None
        return f"the certificate in {self.path!r} {reason}; clients that check it refuse to connect"


def describeCertificate(path: str, file: str) -> Certificate:
    """
    The first certificate in a file.

    :param path: the path by which the operator knows it.
    :param file: where to read it, PEM.
    :raise ssl.SSLError: it cannot be read.
    """
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
    found = decode(file)
    names = [name.lower() for kind, name in found.get("subjectAltName", ()) if kind == "DNS"]
    return Certificate(path, names, found["notBefore"], found["notAfter"])
