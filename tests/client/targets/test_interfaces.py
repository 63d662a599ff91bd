from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import (
    SERVER_CLOSED,
    IChannel,
    IReplyReceiver,
    IStreamChannel,
    ITarget,
)
from echoproto.client.targets.stream import StreamTarget
from echoproto.client.targets.udp import UDPTarget
from echoproto.conformance.streamclient import CheckConnection
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.testing import DatagramWire, endpointTo


class InterfaceTests(SynchronousTestCase):
    def test_provided(self) -> None:
        """Targets and channels of both carriers, and a receiver, provide their interfaces."""
        wire = DatagramWire()
        wire.listenDatagrams(7, EchoDatagramProtocol(wire))
        endpoint, _ = endpointTo(EchoFactory(Clock()))
        receiver = CheckConnection(wire, 1.0)
        verifyObject(IReplyReceiver, receiver)
        for target, interface in (
            (StreamTarget("tcp://lab1:7", endpoint, None, lambda: 0), IStreamChannel),
            (UDPTarget("udp://lab1:7", wire, ResolvedHost(["127.0.0.1"]), 7, 4), IChannel),
        ):
            verifyObject(ITarget, target)
            opening: Deferred[Any] = target.open(receiver)
            verifyObject(interface, self.successResultOf(opening))

    def test_closed(self) -> None:
        """The reason of a normal close by the server begins with SERVER_CLOSED."""
        endpoint, pairs = endpointTo(EchoFactory(Clock()))
        reasons: list[str] = []
        receiver = CheckConnection(Clock(), 1.0)
        self.patch(receiver, "connectionLost", reasons.append)
        self.successResultOf(StreamTarget("", endpoint, None, lambda: 0).open(receiver))
        pairs[0].server.loseConnection()
        pairs[0].pump()
        self.assertTrue(reasons.pop().startswith(SERVER_CLOSED))
