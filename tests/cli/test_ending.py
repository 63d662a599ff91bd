from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.ending import why


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
            self.assertTrue(why(Failure(error)).startswith(says))
