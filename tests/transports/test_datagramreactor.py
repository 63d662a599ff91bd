from __future__ import annotations

import socket
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import DatagramWire
from echoproto.transports.datagramreactor import listenDatagrams
from echoproto.transports.udp import DatagramPort
from tests.transports.fakeudpsocket import RecordingEcho


class ListenDatagramsTests(SynchronousTestCase):
    def test_port(self) -> None:
        """The port is a DatagramPort, whose socket has the options that were chosen."""
        configured: list[socket.socket] = []
        reactor: Any = MemoryReactorClock()
        port: Any = listenDatagrams(reactor, 0, RecordingEcho(), "127.0.0.1", configured.append)
        self.addCleanup(port.connectionLost)
        self.assertIsInstance(port, DatagramPort)
        self.assertEqual(configured, [port.socket])

    def test_reactorWithOwnPorts(self) -> None:
        """If the reactor itself has listenDatagrams(), that is used."""
        wire = DatagramWire()
        self.assertIs(listenDatagrams(wire, 7, RecordingEcho()), wire.ports["127.0.0.1", 7])
