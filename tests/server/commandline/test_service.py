from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.application import EchoprotoService
from echoproto.server.certificates.certificatereader import CertificateReader
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.commandline import service as module
from echoproto.server.commandline.service import makeService
from echoproto.server.monitoring.logstream import LogStream
from echoproto.server.privileges import Identity, identityOf
from tests.server.commandline.test_options import parsed


class MakeServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reset = mock.Mock()
        self.patch(module, "resetSignals", self.reset)

    def test_signals(self) -> None:
        """Signals that the parent process has blocked arrive."""
        makeService(parsed("-p", "7"))
        self.reset.assert_called_once_with()

    def test_identity(self) -> None:
        """The service takes user and group over from twistd, except with its --euid."""
        self.patch(sys, "stdout", None)
        options: Any = parsed("-p", "7")
        options.parent = {"uid": 345_678, "gid": None, "euid": False, "nodaemon": True}
        service: Any = makeService(options)
        self.assertEqual(service._identity, identityOf(345_678, None))
        self.assertEqual((options.parent["uid"], options.parent["gid"]), (None, None))
        options.parent = {"uid": 345_678, "gid": None, "euid": True, "nodaemon": True}
        service = makeService(options)
        self.assertEqual((service._identity, options.parent["uid"]), (Identity(), 345_678))

    def test_daemon(self) -> None:
        """
        Only a daemon reports the error of its start to the terminal by itself; only in the
        foreground the log is on standard output.
        """
        self.patch(sys, "stdout", sys.stdout)
        options: Any = parsed("-p", "7")
        for nodaemon in (False, True):
            options.parent = {"nodaemon": nodaemon}
            with mock.patch.object(module, "reportToTerminal") as report:
                makeService(options)
            self.assertEqual(report.called, not nodaemon)
            self.assertEqual(isinstance(sys.stdout, LogStream), nodaemon)
        sys.stdout.close()

    def test_certificateReader(self) -> None:
        """Certificates are read again by a process that is started before the user changes."""
        service: Any = makeService(parsed("-p", "7"))
        reader = service._startReader([TLSFiles("/nowhere", "/nowhere")])
        self.addCleanup(reader.stop)
        # It may still be starting, on a busy machine for longer than the stop waits.
        self.addCleanup(reader._process.kill)
        self.assertIsInstance(reader, CertificateReader)

    def test_service(self) -> None:
        """The service has the settings of the options."""
        options = parsed("-p", "7", "--greeting", "Moin")
        service: Any = makeService(options)
        self.assertIsInstance(service, EchoprotoService)
        self.assertIs(service.listeners._settings, options.settings)

    def test_monotonic(self) -> None:
        """twistd's reactor measures elapsed time from then on."""
        from twisted.internet import reactor

        with mock.patch.object(module, "useMonotonicTime") as use:
            makeService(parsed("-p", "7"))
        use.assert_called_once_with(reactor)
