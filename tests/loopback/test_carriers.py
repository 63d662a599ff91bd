"""The contracts on real sockets: TCP and UDP on IPv4 and IPv6, and UNIX sockets."""

from __future__ import annotations

import socket
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from echoproto import connectEcho, connectEchoDatagram, greet
from echoproto.errors import ConnectionClosed
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.server.listeners.sockets import boundSocket
from tests.contract import echo, greeting


class OnSockets:
    """A service in this process, on one listener; the test's reactor moves the data."""

    description = "tcp:0:interface=127.0.0.1"
    service = "echo"

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        groups = [[Listener(self.service, self.where())]]
        self.running = ListenerService(reactor, Settings(groups, datagramRate=0))
        self.running.startService()
        cast(Any, self).addCleanup(self.running.stopService)
        [opened] = self.running._open
        self.port = opened.port

    def where(self) -> str:
        return self.description

    def host(self) -> Any:
        return self.port.getHost()

    def endpoint(self) -> Any:
        return TCP4ClientEndpoint(self.reactor, self.host().host, self.host().port)


class OnIPv6(OnSockets):
    description = "tcp6:0:interface=\\:\\:1"

    def endpoint(self) -> Any:
        return TCP6ClientEndpoint(self.reactor, self.host().host, self.host().port)


class OnUNIX(OnSockets):
    def where(self) -> str:
        folder = TemporaryDirectory()
        cast(Any, self).addCleanup(folder.cleanup)
        return f"unix:{folder.name}/socket"

    def endpoint(self) -> Any:
        return UNIXClientEndpoint(self.reactor, self.host().name)


class TCPEchoTests(OnSockets, echo.EchoContract):
    def connect(self) -> Deferred[Any]:
        return connectEcho(self.endpoint(), self.reactor)


class TCP6EchoTests(OnIPv6, TCPEchoTests):
    pass


class UNIXEchoTests(OnUNIX, TCPEchoTests):
    pass


class UDPEchoTests(OnSockets, echo.EchoContract):
    description = "udp:0:interface=127.0.0.1"
    longest = 65_507

    def connect(self) -> Deferred[Any]:
        return connectEchoDatagram(self.reactor, self.host().host, self.host().port)


class UDP6EchoTests(UDPEchoTests):
    description = "udp:0:interface=\\:\\:1"
    longest = 65_527


class NoListenerTests(TestCase):
    timeout = 300

    async def test_refused(self) -> None:
        """Without a listener every exchange fails at once, and the client can still be closed."""
        from twisted.internet import reactor

        for host in ("127.0.0.1", "::1"):
            client = await connectEchoDatagram(reactor, host, unusedPort(host))
            for _ in range(3):
                with self.assertRaises(ConnectionClosed):
                    await client.echo(b"hello")
            await client.close()


def unusedPort(host: str) -> int:
    """Return a UDP port without a listener."""
    with boundSocket(socket.SOCK_DGRAM, host, 0) as made:
        port: int = made.getsockname()[1]
        return port


class TCPGreetingTests(OnSockets, greeting.GreetingContract):
    service = "greeting"

    def exchange(self, message: bytes) -> Deferred[bytes]:
        return greet(self.endpoint(), self.reactor, message)


class TCP6GreetingTests(OnIPv6, TCPGreetingTests):
    pass


class UNIXGreetingTests(OnUNIX, TCPGreetingTests):
    pass


class DatagramClient(DatagramProtocol):
    """Sends one datagram and fires with the reply."""

    noisy = False

    def __init__(self, message: bytes, host: Any) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._message = message
        self._host = host

    def startProtocol(self) -> None:
        transport: Any = self.transport
        transport.connect(self._host.host, self._host.port)
        transport.write(self._message)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.answer.callback(datagram)


class UDPGreetingTests(OnSockets, greeting.GreetingContract):
    description = "udp:0:interface=127.0.0.1"
    service = "greeting"

    def exchange(self, message: bytes) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self._exchange(message))

    async def _exchange(self, message: bytes) -> bytes:
        client = DatagramClient(message, self.host())
        interface = "::" if ":" in self.host().host else ""
        port = self.reactor.listenUDP(0, client, interface)
        try:
            return await client.answer
        finally:
            await maybeDeferred(port.stopListening)


class UDP6GreetingTests(UDPGreetingTests):
    description = "udp:0:interface=\\:\\:1"
