"""The suite against servers on real sockets: it finds nothing in ours, and in others the faults that they are known to have."""

from __future__ import annotations

import json
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.servers import OURS, SERVERS, Missing, failures, graded


class ConformanceTests(SynchronousTestCase):
    def found(self, name: str, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit status and the document; skips where the server cannot be had."""
        [server] = [each for each in SERVERS if each.name == name]
        try:
            status, said = graded(server, "-o", "json", *words)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        return status, dict(json.loads(said))

    def ours(self, name: str, *words: str) -> None:
        status, found = self.found(name, *words)
        wrong = [each for each in found["checks"] if each["verdict"] != "passed"]
        # Ports 7 and 19 may be taken, or not be ours to take.
        self.assertEqual([each for each in wrong if each["name"] != "echo ports"], [])
        self.assertEqual((status, failures(found)), (0, []))

    def theirs(self, name: str) -> None:
        [server] = [each for each in SERVERS if each.name == name]
        names = [word for fault in server.faults for word in ("--only", fault.partition(" ")[2])]
        status, found = self.found(name, "--risky", *names)
        self.assertEqual(status, 3)
        self.assertEqual(set(server.faults) - set(failures(found)), set())

    def test_twistd(self) -> None:
        """Ours passes every check, also those that are risky."""
        self.ours(OURS[0].name, "--risky")

    def test_serve(self) -> None:
        """So does ours on the direct reactor."""
        self.ours(OURS[1].name)

    def test_stock(self) -> None:
        """Twisted's own echoes lose bytes at a half-close, have no bound, cut datagrams and answer from another address."""
        self.theirs("stock Twisted")

    def test_inetd(self) -> None:
        """inetd cuts datagrams, and answers from another address."""
        self.theirs("inetd")

    def test_xinetd(self) -> None:
        """So does xinetd."""
        self.theirs("xinetd")

    def test_socat(self) -> None:
        """So does socat, and an empty datagram ends it."""
        self.theirs("socat")

    def test_ncat(self) -> None:
        """ncat cuts datagrams, answers from another address, and an empty one not at all."""
        self.theirs("ncat")
