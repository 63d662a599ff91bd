from __future__ import annotations

import time

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.parser import parseListener
from tests.certificates import serverPEM
from tests.server.servicecase import ServiceTestCase


class CertificateSetTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.mktemp()
        self.write(serverPEM())
        [listener, *_] = parseListener("echo", "7", tls=TLSFiles(self.path, self.path))
        self.running = self.service([listener], parseListener("echo", "8"))

    def write(self, pem: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(pem)

    def test_reload(self) -> None:
        """
        Certificates are read again; if they cannot be used, the current ones stay, in one log line.
        """
        self.running.startService()
        self.running.certificates.reload()
        self.assertEqual(self.logged(), ["certificates read again; listeners with TLS: 1"])
        self.write(b"")
        self.running.certificates.reload()
        self.assertEqual(len(self.logged()), 2)
        self.assertIn("the current certificates stay in use", self.logged()[-1])

    def test_invalid(self) -> None:
        """
        A certificate that has expired, or is not valid yet, is used, with one line in the log, at
        the start and when it is read again.
        """
        now = time.time()
        self.running.startService()
        self.assertEqual(self.logged(), [])
        self.patch(time, "time", lambda: now + 100_000)
        self.reactor.run()
        self.assertIn(f"the certificate in {self.path!r} expired on", " ".join(self.logged()))
        for shift, reason in ((-100_000, "is not valid before"), (100_000, "expired on")):
            self.patch(time, "time", lambda shift=shift: now + shift)
            self.running.certificates.reload()
            self.assertIn(f"the certificate in {self.path!r} {reason}", self.logged()[-1])

    def test_replace(self) -> None:
        """Certificates that another process has read replace the current ones."""
        self.running.startService()
        before = self.running.certificates.loaded()
        self.write(serverPEM() + b"# renewed")
        files = TLSFiles(self.path, self.path).read()
        self.running.certificates.replace([files])
        [now] = self.running.certificates.loaded()
        self.assertNotEqual(now.contents, before[0].contents)

    def test_readElsewhere(self) -> None:
        """What reads the files may be another process, whose reasons are logged as they are."""
        self.running.startService()
        renewed = TLSFiles(self.path, self.path, contents={self.path: serverPEM() + b"# renewed"})
        self.running.certificates.reload(lambda files: renewed)
        self.assertEqual(self.running.certificates.loaded(), [renewed])

        def refuse(files: TLSFiles) -> TLSFiles:
            raise ValueError("gone")

        self.running.certificates.reload(refuse)
        self.assertIn("stay in use: gone", self.logged()[-1])
