from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.client.targets.udp import UDPTarget
from echoproto.conformance import refusal
from echoproto.conformance.refusal import REFUSAL_TIME, refusalReason
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import DatagramWire
from tests.conformance.fakeservers import FaultyDatagramEcho


class SilentServer(FaultyDatagramEcho):
    def answer(self, datagram: bytes, addr: Any) -> None:
        """Answer nothing."""


class RefusalReasonTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        """A closed port is reported; after an answer, or in silence, there is no reason."""
        wire = DatagramWire()
        for server, reason in (
            (None, "refused: nothing listens there"),
            (EchoDatagramProtocol(wire), ""),
            (SilentServer(), ""),
        ):
            port = wire.listenUDP(7007, server) if server is not None else None
            host = ResolvedHost(["127.0.0.1"])
            target = UDPTarget("lab1", wire, host, 7007, 5, ConnectOptions())
            asking = Deferred.fromCoroutine(refusalReason(wire, target, b"hello"))
            wire.deliverAll()
            wire.advance(REFUSAL_TIME)
            wire.advance(0)
            self.assertEqual(self.successResultOf(asking), reason)
            if port is not None:
                port.stopListening()
        self.assertEqual((wire.ports, wire.getDelayedCalls()), ({}, []))

    def test_interface(self) -> None:
        """Its probe receives replies."""
        verifyObject(IReplyReceiver, refusal._ConnectedProbe(DatagramWire()))
