"""A UDP port on a socket in memory."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.udp import DatagramPort
from tests.transports.fakeudpsocket import FakeSocketPort, RecordingEcho


class FailingProtocol(DatagramProtocol):
    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        raise SystemExit

    def connectionRefused(self) -> None:
        raise SystemExit


class PortTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.port, self.protocol = self.listening(RecordingEcho())

    def listening(self, protocol: DatagramProtocol) -> tuple[Any, Any]:
        reactor = MemoryReactorClock()
        port = FakeSocketPort(7777, protocol, reactor=cast(Any, reactor))
        DatagramPort.startListening(port)
        return port, protocol

    def receive(self, *datagrams: Any) -> None:
        self.port.socket.waiting += datagrams
        self.port.doRead()
