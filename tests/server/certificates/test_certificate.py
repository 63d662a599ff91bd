from __future__ import annotations

import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates.certificate import Certificate, describeCertificate
from tests.certificates import serverPEM

BEGIN, END = "Jan  1 00:00:00 2030 GMT", "Jan  1 00:00:00 2031 GMT"


class CertificateTests(SynchronousTestCase):
    def test_validity(self) -> None:
        """A certificate is refused by clients before its first and after its last second."""
        certificate = Certificate("a.pem", ["localhost"], BEGIN, END)
        begin, end = map(ssl.cert_time_to_seconds, (BEGIN, END))
        self.assertIsNone(certificate.whyInvalid(begin))
        self.assertIsNone(certificate.whyInvalid(end))
        for now, reason in (
            (begin - 1, f"is not valid before {BEGIN}"),
            (end + 1, f"expired on {END}"),
        ):
            self.assertEqual(
                certificate.whyInvalid(now),
                f"the certificate in 'a.pem' {reason}; clients that check it refuse to connect",
            )

    def test_described(self) -> None:
        """A certificate has the path by which the operator knows it, its names and its times."""
        file = Path(self.mktemp())
        file.write_bytes(serverPEM())
        certificate = describeCertificate("a.pem", str(file))
        self.assertEqual((certificate.path, certificate.names), ("a.pem", ["localhost"]))
        times = ssl.cert_time_to_seconds(certificate.notBefore)
        self.assertEqual(ssl.cert_time_to_seconds(certificate.notAfter) - times, 25 * 60 * 60)

    def test_unreadable(self) -> None:
        """What is no certificate is an error of ssl."""
        with self.assertRaises(ssl.SSLError):
            describeCertificate("a.pem", self.mktemp())
