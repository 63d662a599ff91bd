from __future__ import annotations

import os
from unittest import mock

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.commandline.daemonstart import reportToTerminal


class ReportToTerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.terminal, self.error = os.pipe()
        self.addCleanup(os.close, self.terminal)
        self.service = mock.Mock()
        self.start = self.service.privilegedStartService
        reportToTerminal(self.service, self.reactor, self.error)
        os.close(self.error)

    def test_failure(self) -> None:
        """
        A failed start is one whole line on the standard error that the process had before it became
        a daemon; the error that twistd shows refers to it, and the exit status is unchanged.
        """
        reason = "echo cannot listen: " + "x" * 200 + "; use another port"
        for error in (StartupError(reason), StartupError(reason, isReported=True)):
            self.start.side_effect = error
            with self.assertRaises(StartupError) as caught:
                self.service.privilegedStartService()
            self.assertEqual(os.read(self.terminal, 1000).decode(), f"{reason}\n")
            self.assertEqual(caught.exception.code, error.code)
            self.assertEqual(
                str(caught.exception), "the reason is in the line above, and in the log"
            )
            self.assertLess(len(f"1 echoproto.errors.StartupError: {caught.exception}"), 100)
        self.reactor.run()

    def test_success(self) -> None:
        """Nothing is reported, and once the reactor runs the terminal is let go."""
        self.service.privilegedStartService()
        self.start.assert_called_once_with()
        self.reactor.run()
        self.assertEqual(os.read(self.terminal, 1000), b"")

    def test_closed(self) -> None:
        """Without a standard error the service is left as it is."""
        self.reactor.run()
        service = mock.Mock()
        start = service.privilegedStartService
        reportToTerminal(service, self.reactor, self.error)
        self.assertIs(service.privilegedStartService, start)
