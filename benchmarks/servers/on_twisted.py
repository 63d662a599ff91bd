"""An echo server on stock Twisted's epoll reactor: ``on_twisted.py tcp|udp|tls [CERTIFICATE]``."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor as installed
from twisted.internet import ssl
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols.wire import Echo

reactor: Any = installed


class NoDelay(Echo):
    """The stock echo with TCP_NODELAY, which all competitors set."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.setTcpNoDelay(True)


class EchoDatagramProtocol(DatagramProtocol):
    """Sends each datagram back."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        transport: Any = self.transport
        transport.write(datagram, addr)


def main(kind: str, *arguments: str) -> None:
    factory: Any = Factory.forProtocol(NoDelay)
    if kind == "udp":
        port = reactor.listenUDP(0, EchoDatagramProtocol(), "127.0.0.1", 65_536)
    elif kind == "tls":
        with open(arguments[0]) as pem:
            certificate = ssl.PrivateCertificate.loadPEM(pem.read())
        port = reactor.listenSSL(0, factory, certificate.options(), 1024, "127.0.0.1")
    else:
        port = reactor.listenTCP(0, factory, 1024, "127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
