from __future__ import annotations

import ssl
from errno import EAGAIN, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENOBUFS
from unittest import mock

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from echoproto.client.targets.failures import (
    CLOSED_HINT,
    answerHint,
    closedHint,
    describeFailure,
    endReason,
    failureReason,
    networkErrorReason,
    reasonsAfterAnswer,
    sendErrorReason,
    tlsHint,
)
from echoproto.errors import DatagramTooLong, TargetError
from echoproto.protocols.greeting import SERVER_GREETING


def sslError(reason: str) -> ssl.SSLError:
    """An error as OpenSSL reports it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:2580)")
    vars(error).update(reason=reason)
    return error


class EndReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        """A lost connection is reported in plain words, with the detail if there is any."""
        for error, reason in (
            (ConnectionLost(), "it was reset or interrupted"),
            (ConnectionLost("timed out"), "it was reset or interrupted: timed out"),
            (ConnectionDone(), "Connection was closed cleanly"),
            (sslError("WRONG_VERSION_NUMBER"), "TLS: wrong version number"),
        ):
            self.assertEqual(endReason(Failure(error)), reason)


class FailureReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        """The reason is short and has no full stop."""
        for error, reason in (
            (ConnectionRefusedError(), "refused: nothing listens there"),
            (ConnectError(113, "No route to host"), "No route to host"),
            (ConnectError(), "An error occurred while connecting"),
            (CancelledError(), "CancelledError"),
            (DNSLookupError("no such host: lab"), "DNS lookup failed: no such host: lab"),
        ):
            self.assertEqual(failureReason(Failure(error)), reason)

    def test_tls(self) -> None:
        """An error of TLS is described with a remedy, and not with a place in OpenSSL."""
        error = sslError("WRONG_VERSION_NUMBER")
        self.assertIn("try tcp:// instead", failureReason(Failure(error)))


class TLSTests(SynchronousTestCase):
    def test_hint(self) -> None:
        """A record of TLS is recognized by its first bytes; other data has no hint."""
        for data in (b"\x15\x03\x03\x00\x02\x02F", b"\x16\x03\x01"):
            self.assertEqual(tlsHint(data), "; it answered with a TLS record: try tls:// instead")
        for data in (b"", b"\x15", b"\x16\x02", b"hello"):
            self.assertEqual(tlsHint(data), "")

    def test_answer(self) -> None:
        """The text of a greeting service shows that service; other data may show TLS."""
        greeting = "; this is a greeting service; try echoproto greet"
        self.assertEqual(answerHint(SERVER_GREETING + b"more"), greeting)
        self.assertIn("a TLS record", answerHint(b"\x15\x03"))
        self.assertEqual(answerHint(SERVER_GREETING[:-1]), "")

    def test_closed(self) -> None:
        """The hint names limits and PROXY headers; TLS only for a TCP connection without it."""
        hint = "; it may have reached a limit, not allow this client, or expect a PROXY header"
        self.assertEqual(CLOSED_HINT, hint)
        for peer, interfaces, more in (
            (IPv4Address("TCP", "192.0.2.1", 7), (), " or TLS: try tls:// then"),
            (IPv4Address("TCP", "192.0.2.1", 7), (ISSLTransport,), ""),
            (UNIXAddress(b"/run/x"), (), ""),
        ):
            transport = mock.Mock(getPeer=lambda peer=peer: peer)
            directlyProvides(transport, *interfaces)
            self.assertEqual(closedHint(transport), hint + more)

    def test_closedBeforeAnswer(self) -> None:
        """Once a server has answered, the reasons have no such hint; other ones stay."""
        reasons = {"closed": 1, f"closed{CLOSED_HINT} or TLS: try tls:// then": 2, "reset; why": 3}
        self.assertEqual(reasonsAfterAnswer(reasons), {"closed": 3, "reset; why": 3})

    def test_plainServer(self) -> None:
        """A server whose answer is not TLS is reported with the scheme to try."""
        for reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"):
            error = ssl.SSLError(1, "wrong")
            vars(error).update(reason=reason)
            self.assertEqual(
                describeFailure(Failure(error), "tls://lab1:7"),
                "tls://lab1:7: TLS: the server's answer is not TLS: try tcp:// instead",
            )

    def test_ofEndpoints(self) -> None:
        """The errors of Twisted's own TLS have the same descriptions; others have their own."""
        queue = [("SSL routines", "", "no protocols available"), ("", "", "unexpected message")]
        notTLS, other = Exception(queue), Exception(queue[:1])
        self.assertIn("try tcp:// instead", describeFailure(Failure(notTLS)))
        self.assertIn("TLS: no protocols available; does", describeFailure(Failure(other)))
        self.assertEqual(describeFailure(Failure(Exception([]))), "[]")


class NetworkErrorReasonTests(SynchronousTestCase):
    def test_words(self) -> None:
        """The reason names the report of the network; an unknown one is a refusal."""
        for number, reason in (
            (0, "refused: nothing listens there"),
            (ECONNREFUSED, "refused: nothing listens there"),
            (EHOSTUNREACH, "unreachable: No route to host"),
            (EMSGSIZE, "too large for the path"),
        ):
            self.assertEqual(networkErrorReason(number), reason)


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
    def test_alerts(self) -> None:
        """
        An alert of the server has its remedy, during the handshake and, as with TLS 1.3, later.
        """
        for reason, remedy in (
            ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate of the client by --cert and --key"),
            ("SSLV3_ALERT_BAD_CERTIFICATE", "the server does not accept the certificate of --cert"),
            ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "does not accept the certificate of --cert"),
            ("TLSV1_ALERT_UNKNOWN_CA", "does not accept the certificate of --cert"),
            ("TLSV1_UNRECOGNIZED_NAME", "--servername NAME requests another name"),
            ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "the server has none of the protocols of"),
        ):
            failure = Failure(sslError(reason))
            for description in (
                describeFailure(failure),
                failureReason(failure),
                endReason(failure),
            ):
                self.assertIn(f"; {remedy}"[-30:], description)
                self.assertNotIn("does that port", description)

    def test_tls(self) -> None:
        """A TLS failure is described with a remedy."""
        old, other = ssl.SSLError(1, "old version"), ssl.SSLError(1, "other")
        vars(old).update(reason="UNSUPPORTED_PROTOCOL")
        vars(other).update(reason=None)
        for error, begin in (
            (old, "TLS: unsupported protocol; does that port speak TLS"),
            (other, "TLS: no reason given; does that port"),
        ):
            self.assertTrue(describeFailure(Failure(error)).startswith(begin))

    def test_certificate(self) -> None:
        """A certificate that is not accepted has the remedy for its fault, by options that help."""
        mismatch = "{} mismatch, certificate is not valid for '{}'."
        named = "TLS: certificate is not valid for '{}'; --servername NAME verifies another name, "
        for code, message, description in (
            (20, "unable to get local issuer", "TLS: unable to get local issuer; --ca FILE trusts"),
            (62, mismatch.format("Hostname", "lab1"), named.format("lab1")),
            (64, mismatch.format("IP address", "192.0.2.1"), named.format("192.0.2.1")),
            (10, "certificate has expired", "TLS: certificate has expired; renew it on the server"),
            (9, "certificate is not yet valid", "not yet valid; check the clocks of both machines"),
        ):
            error = ssl.SSLCertVerificationError(1)
            vars(error).update(verify_code=code, verify_message=message)
            self.assertIn(description, describeFailure(Failure(error)))

    def test_source(self) -> None:
        """A source address that cannot be bound is named by its option."""
        error = ConnectBindError(99, "Cannot assign requested address")
        self.assertIn("the address of -I", describeFailure(Failure(error)))

    def test_descriptors(self) -> None:
        """A socket that could not be made is not an error of -I."""
        expected = "lab1: too few file descriptors; raise the limit (ulimit -n)"
        for error in (ConnectBindError(24, "Too many open files"), OSError(24, "")):
            self.assertEqual(describeFailure(Failure(error), "lab1"), expected)

    def test_target(self) -> None:
        """The target is named once."""
        refused = Failure(ConnectionRefusedError())
        self.assertEqual(describeFailure(refused, "lab1"), "lab1: refused: nothing listens there")
        named = Failure(TargetError("lab1: invalid"))
        self.assertEqual(describeFailure(named, "lab1"), "lab1: invalid")
