from __future__ import annotations

from errno import EAGAIN, ENOBUFS

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import DatagramTooLong, TargetError
from echoproto.targets.failures import describeFailure, failureReason, sendErrorReason


class FailureReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        """The reason is short and has no full stop."""
        for error, reason in (
            (ConnectionRefusedError(), "refused: nothing listens there"),
            (ConnectError(113, "No route to host"), "No route to host"),
            (ConnectError(), "An error occurred while connecting"),
            (DNSLookupError("no such host: lab"), "DNS lookup failed: no such host: lab"),
        ):
            self.assertEqual(failureReason(Failure(error)), reason)


class SendErrorReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        """The reason begins with "not sent"."""
        for error, reason in (
            (BlockingIOError(EAGAIN, "try again"), "not sent: the send buffer is full"),
            (OSError(ENOBUFS, "No buffer space available"), "not sent: No buffer space available"),
            (OSError("odd"), "not sent: odd"),
            (DatagramTooLong("9 bytes do not fit"), "not sent: 9 bytes do not fit"),
        ):
            self.assertEqual(sendErrorReason(error), reason)


class DescribeFailureTests(SynchronousTestCase):
    def test_tls(self) -> None:
        """A TLS failure is described with a remedy."""
        for error, begin in (
            (
                SSL.Error([("SSL routines", "", "certificate verify failed")]),
                "TLS: certificate verify failed; --ca",
            ),
            (
                SSL.Error([("SSL routines", "", "wrong version number")]),
                "TLS: wrong version number; does that port speak TLS",
            ),
            (SSL.Error([]), "TLS: no reason given; does that port"),
            (VerificationError([]), "TLS: the certificate is for another host"),
        ):
            self.assertTrue(describeFailure(Failure(error)).startswith(begin))

    def test_source(self) -> None:
        """A source address that cannot be bound is named by its option."""
        error = ConnectBindError(99, "Cannot assign requested address")
        self.assertIn("the address of -I", describeFailure(Failure(error)))

    def test_target(self) -> None:
        """The target is named once."""
        refused = Failure(ConnectionRefusedError())
        self.assertEqual(describeFailure(refused, "lab1"), "lab1: refused: nothing listens there")
        named = Failure(TargetError("lab1: invalid"))
        self.assertEqual(describeFailure(named, "lab1"), "lab1: invalid")
