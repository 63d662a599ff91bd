from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectBindError, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.exitcodes import complain, statusOf
from echoproto.errors import TargetError
from echoproto.targets.failures import describeFailure
from tests.cli.lab import Unwritten


class WhyTests(SynchronousTestCase):
    def test_notTrusted(self) -> None:
        """A certificate that is not trusted is told with what may help, as is a port where no TLS is spoken."""
        for error, says in (
            (ConnectionRefusedError(), "refused: nothing listens there"),
            (
                SSL.Error([("SSL routines", "", "certificate verify failed")]),
                "TLS: certificate verify failed; --ca",
            ),
            (
                SSL.Error([("SSL routines", "", "wrong version number")]),
                "TLS: wrong version number; is TLS",
            ),
            (SSL.Error([]), "TLS: no reason given; is TLS"),
            (VerificationError([]), "TLS: the certificate is for another host"),
        ):
            self.assertTrue(describeFailure(Failure(error)).startswith(says))

    def test_named(self) -> None:
        """The target is named, once."""
        refused = Failure(ConnectionRefusedError())
        self.assertEqual(describeFailure(refused, "lab1"), "lab1: refused: nothing listens there")
        already = Failure(TargetError("lab1: it cannot be"))
        self.assertEqual(describeFailure(already, "lab1"), "lab1: it cannot be")

    def test_status(self) -> None:
        """Nobody there is status 1; a source that is not ours, as all else that cannot be, is status 2."""
        source = Failure(ConnectBindError(99, "Cannot assign requested address"))
        for failure, status in (
            (Failure(ConnectionRefusedError()), 1),
            (source, 2),
            (Failure(TargetError("no")), 2),
        ):
            self.assertEqual(statusOf(failure), status)
        self.assertIn("the address of -I", describeFailure(source))


class ComplainTests(SynchronousTestCase):
    def test_unwritable(self) -> None:
        """What cannot be told is told to nobody, and nothing else is lost by it."""
        with redirect_stderr(Unwritten()):
            complain("nobody reads it")
        with redirect_stderr(StringIO()) as errors:
            complain("it is wrong")
        self.assertEqual(errors.getvalue(), "it is wrong\n")
