"""The conformance suite on real sockets: our server passes; others have their known faults."""

from __future__ import annotations

import json
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.servers import ECHOPROTO, SERVERS, Missing, failures, graded


class ConformanceTests(SynchronousTestCase):
    def found(self, name: str, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit status and the document; skips if the server is not available."""
        [server] = [server for server in SERVERS if server.name == name]
        try:
            status, output = graded(server, "-o", "json", *words)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        return status, dict(json.loads(output))

    def ours(self, name: str, *words: str) -> None:
        status, found = self.found(name, *words)
        wrong = [check for check in found["checks"] if check["verdict"] != "passed"]
        # Ports 7 and 19 may be taken, or not be ours to take.
        self.assertEqual([check for check in wrong if check["name"] != "echo-ports"], [])
        self.assertEqual((status, failures(found)), (0, []))

    def theirs(self, name: str) -> None:
        [server] = [server for server in SERVERS if server.name == name]
        names = [word for fault in server.faults for word in ("--only", fault.partition(" ")[2])]
        status, found = self.found(name, "--risky", *names)
        self.assertEqual(status, 3)
        self.assertEqual(set(server.faults) - set(failures(found)), set())

    def test_twistd(self) -> None:
        """Our server passes every check, including the risky ones."""
        self.ours(ECHOPROTO[0].name, "--risky")

    def test_serve(self) -> None:
        """Our server passes on the direct reactor."""
        self.ours(ECHOPROTO[1].name)

    def test_stock(self) -> None:
        """Twisted's echo examples lose bytes at a half-close, and truncate datagrams."""
        self.theirs("stock Twisted")

    def test_inetd(self) -> None:
        """inetd truncates datagrams, and answers from another address."""
        self.theirs("inetd")

    def test_xinetd(self) -> None:
        """xinetd truncates datagrams, and answers from another address."""
        self.theirs("xinetd")

    def test_socat(self) -> None:
        """socat does so too, and an empty datagram ends it."""
        self.theirs("socat")

    def test_ncat(self) -> None:
        """ncat does so too, and ignores an empty datagram."""
        self.theirs("ncat")
