"""
TLS with half-close: the client ends its input first, and then reads the rest of the echo.

    python examples/secure.py CERTIFICATE KEY

The certificate must be for localhost; the client trusts it.
"""

from __future__ import annotations

import ssl
import sys

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto import EchoFactory
from echoproto.transports.tls import TLSStreamFactory

DATA = b"x" * 10_000_000


@implementer(IHalfCloseableProtocol)
class Sender(Protocol):
    """Sends everything, ends its input, and counts the bytes of the echo."""

    transport: ITCPTransport

    def __init__(self) -> None:
        self.received = 0
        self.ended: Deferred[int] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(DATA)
        self.transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """The end of the input was sent."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self.received)


async def main(reactor: ReactorBase, certificate: str, key: str) -> None:
    serverContext = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serverContext.load_cert_chain(certificate, key)
    echo = EchoFactory(reactor)
    server = TLSStreamFactory(lambda: serverContext, echo, reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)

    clientContext = ssl.create_default_context(cafile=certificate)
    sender = Sender()
    client = TLSStreamFactory(
        lambda: clientContext, Factory.forProtocol(lambda: sender), reactor, "localhost"
    )
    await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(client)
    print(await sender.ended, "of", len(DATA), "bytes returned")

    await port.stopListening()
    await echo.drain()


if __name__ == "__main__":
    react(main, sys.argv[1:])
