from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.conformance.streamclient import CheckConnection
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.targets.interfaces import SERVER_CLOSED, IChannel, IReplyReceiver, ITarget
from echoproto.targets.stream import StreamTarget
from echoproto.targets.udp import UDPTarget
from echoproto.testing import DatagramWire, endpointTo


class RoadTests(SynchronousTestCase):
    def test_provided(self) -> None:
        """Both carriers have targets and channels, and who hears them provides what they tell."""
        wire = DatagramWire()
        wire.listenDatagrams(7, EchoDatagramProtocol(wire))
        endpoint, _ = endpointTo(EchoFactory(Clock()))
        receiver = CheckConnection(wire, 1.0)
        verifyObject(IReplyReceiver, receiver)
        for target in (
            StreamTarget("tcp://lab1:7", endpoint, None, lambda: 0),
            UDPTarget("udp://lab1:7", wire, "127.0.0.1", 7, 4),
        ):
            verifyObject(ITarget, target)
            opening: Deferred[Any] = target.open(receiver)
            verifyObject(IChannel, self.successResultOf(opening))

    def test_closed(self) -> None:
        """An end in order is told in words of its own."""
        endpoint, pairs = endpointTo(EchoFactory(Clock()))
        told: list[str] = []
        receiver = CheckConnection(Clock(), 1.0)
        self.patch(receiver, "connectionLost", told.append)
        self.successResultOf(StreamTarget("", endpoint, None, lambda: 0).open(receiver))
        pairs[0].server.loseConnection()
        pairs[0].pump()
        self.assertEqual(told, [SERVER_CLOSED])
