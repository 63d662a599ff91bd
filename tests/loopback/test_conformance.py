"""The conformance checks on real sockets: echoproto passes, others have their known faults."""

from __future__ import annotations

import json
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.servers import ECHOPROTO, SERVERS, Missing, failures, graded


class ConformanceTests(SynchronousTestCase):
    def found(self, name: str, *words: str) -> tuple[int, dict[str, Any]]:
        """Return the exit status and the document; skip if the server is not available."""
        [server] = [server for server in SERVERS if server.name == name]
        try:
            status, output = graded(server, "-o", "json", *words)
        except Missing as missing:
            raise SkipTest(str(missing)) from None
        return status, dict(json.loads(output))

    def assertPasses(self, name: str, *words: str) -> None:
        status, found = self.found(name, *words)
        failed = [check for check in found["checks"] if check["verdict"] != "passed"]
        # Ports 7 and 19 may be in use or need root.
        self.assertEqual([check for check in failed if check["name"] != "echo-ports"], [])
        self.assertEqual((status, failures(found)), (0, []))

    def assertFaults(self, name: str) -> None:
        [server] = [server for server in SERVERS if server.name == name]
        names = [word for fault in server.faults for word in ("--only", fault.partition(" ")[2])]
        status, found = self.found(name, "--risky", *names)
        self.assertEqual(status, 3)
        self.assertEqual(set(server.faults) - set(failures(found)), set())

    def test_twistd(self) -> None:
        """echoproto passes every check, including the risky ones."""
        self.assertPasses(ECHOPROTO[0].name, "--risky")

    def test_serve(self) -> None:
        """echoproto passes on the direct reactor."""
        self.assertPasses(ECHOPROTO[1].name)

    def test_stock(self) -> None:
        """Twisted's echo examples lose bytes at a half-close, and truncate datagrams."""
        self.assertFaults("stock Twisted")

    def test_inetd(self) -> None:
        """inetd truncates datagrams, and replies from another address."""
        self.assertFaults("inetd")

    def test_xinetd(self) -> None:
        """xinetd truncates datagrams, and replies from another address."""
        self.assertFaults("xinetd")

    def test_socat(self) -> None:
        """socat truncates datagrams, replies from another address, and ends at an empty one."""
        self.assertFaults("socat")

    def test_ncat(self) -> None:
        """ncat truncates datagrams, replies from another address, and ignores empty datagrams."""
        self.assertFaults("ncat")
