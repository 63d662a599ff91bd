"""Twisted's own echo servers: ``wire.Echo``, and the UDP example of its documentation."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols.wire import Echo

listening: Any = reactor


class EchoUDP(DatagramProtocol):
    """From "UDP Networking" in Twisted's documentation."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        transport: Any = self.transport
        transport.write(datagram, addr)


if __name__ == "__main__":
    listening.listenTCP(int(sys.argv[1]), Factory.forProtocol(Echo))
    listening.listenUDP(int(sys.argv[1]), EchoUDP())
    listening.run()
