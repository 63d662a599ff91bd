from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from twisted.internet.error import ConnectBindError, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.exitcodes import complain, discardOutput, statusOf
from echoproto.errors import ExchangeTimeout, TargetError
from tests.cli.commandcase import BrokenPipe


class StatusOfTests(SynchronousTestCase):
    def test_status(self) -> None:
        """A server that does not answer is status 1; any local error is status 2."""
        for error, status in (
            (ConnectionRefusedError(), 1),
            (ExchangeTimeout("no reply in 1 s"), 1),
            (ConnectBindError(99, "Cannot assign requested address"), 2),
            (TargetError("no"), 2),
        ):
            self.assertEqual(statusOf(Failure(error)), status)


class DiscardOutputTests(SynchronousTestCase):
    def test_discard(self) -> None:
        """What is in the buffer of an output that cannot be written is no error at its end."""
        with open("/dev/full", "w", encoding="utf-8") as output:
            self.patch(sys, "stdout", output)
            output.write("lost")
            discardOutput()

    def test_replaced(self) -> None:
        """A stream in memory has no descriptor, and stays as it is."""
        with redirect_stdout(StringIO()) as output:
            print("kept")
            discardOutput()
            print("too")
        self.assertEqual(output.getvalue(), "kept\ntoo\n")


class ComplainTests(SynchronousTestCase):
    def test_unwritable(self) -> None:
        """An error line that cannot be written is dropped."""
        with redirect_stderr(BrokenPipe()):
            complain("lost")
        with redirect_stderr(StringIO()) as errors:
            complain("an error")
        self.assertEqual(errors.getvalue(), "an error\n")

    def test_oneLine(self) -> None:
        """Names with control characters neither begin a new line nor reach the terminal."""
        with redirect_stderr(StringIO()) as errors:
            complain("tcp://a\nb\x1b]0;x\x07\udcff: no such host")
        self.assertEqual(errors.getvalue(), "tcp://a\\nb\\x1b]0;x\\x07\\udcff: no such host\n")
