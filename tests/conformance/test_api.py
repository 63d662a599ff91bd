from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import Target
from echoproto.conformance.api import grade, prepareGrade
from echoproto.conformance.results import CheckVerdict
from echoproto.errors import TargetError
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.testing import DatagramWire, endpointTo

SECOND = 1_000_000_000


class GradeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.wire.listenDatagrams(7, EchoDatagramProtocol(self.wire))
        endpoint, self.pairs = endpointTo(EchoFactory(self.wire))
        for kind in (TCP4ClientEndpoint, UNIXClientEndpoint):
            self.patch(kind, "connect", lambda _, factory: endpoint.connect(factory))

    def grade(self, *arguments: Any, **options: Any) -> Any:
        grading = grade(self.wire, *arguments, **options)
        for _ in range(5000):
            for pair in self.pairs:
                pair.pump()
            self.wire.deliverAll()
            self.wire.advance(0.01)
        return self.successResultOf(grading)

    def carriers(self, result: Any) -> set[str]:
        self.assertEqual(result.failed, [])
        self.assertTrue(result.answered)
        return {outcome.check.carrier for outcome in result.results}

    def test_carriers(self) -> None:
        """A target is tested on its own carrier, or on all named ones at the same address."""
        for target, carriers, tested, name in (
            ("127.0.0.1:7", (), {"tcp"}, "tcp://127.0.0.1:7"),
            ("udp://127.0.0.1:7", (), {"udp"}, "udp://127.0.0.1:7"),
            ("127.0.0.1:7", ("udp",), {"udp"}, "udp://127.0.0.1:7"),
            ("unix:///run/echo", (), {"tcp"}, "unix:///run/echo"),
            (
                "udp://127.0.0.1:7",
                ("tcp", "udp"),
                {"tcp", "udp"},
                "tcp://127.0.0.1:7 and udp://127.0.0.1:7",
            ),
        ):
            result = self.grade(target, carriers=carriers, only=["all-byte-values"])
            self.assertEqual((self.carriers(result), result.target), (tested, name))
            self.assertEqual(len(result.results), 2 * len(tested))

    def test_risky(self) -> None:
        """Risky checks run only on request: on private addresses, or with explicit permission."""
        result = self.grade("udp://127.0.0.1:7", only=["echo-ports"], includeRisky=True)
        self.assertEqual([outcome.verdict for outcome in result.results], [CheckVerdict.PASSED] * 2)
        self.grade("unix:///run/echo", only=["all-byte-values"], includeRisky=True)
        self.failureResultOf(prepareGrade(self.wire, "192.0.2.1", includeRisky=True), TargetError)
        self.successResultOf(
            prepareGrade(self.wire, "192.0.2.1", includeRisky=True, allowRemoteRisk=True)
        )

    def test_timeout(self) -> None:
        """A server that does not answer within the timeout fails, and the checks end."""
        result = self.grade("udp://127.0.0.1:8", timeout=2 * SECOND)
        self.assertFalse(result.answered)
        self.assertEqual(result.failed[0].reason, "refused: nothing listens there")

    def test_sourceAddress(self) -> None:
        """The source address can be chosen."""
        grading = self.successResultOf(
            prepareGrade(self.wire, "udp://127.0.0.1:7", connect=ConnectOptions(source="127.0.0.9"))
        )
        grading.start()
        self.assertEqual(self.wire.pending[0].source[0], "127.0.0.9")
        grading.result.cancel()

    def test_invalid(self) -> None:
        """UDP checks of a TLS target fail, and unknown check names raise ValueError."""
        stream = Target("tls://lab1:7", "tls", "lab1", 7)
        self.failureResultOf(prepareGrade(self.wire, stream, carriers=("udp",)), TargetError)
        with self.assertRaises(ValueError):
            prepareGrade(self.wire, "127.0.0.1", only=["lengths"])

    def test_noHost(self) -> None:
        """An address that does not exist in the chosen family fails with TargetError."""
        grading: Deferred[Any] = grade(self.wire, "127.0.0.1", connect=ConnectOptions(family=10))
        self.failureResultOf(grading, TargetError)
