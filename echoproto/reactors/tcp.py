"""TCP transports, ports and connectors of the direct reactor."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import cached_property
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.python import log
from twisted.python.failure import Failure

from echoproto.reactors.relay import RelayStream
from echoproto.reactors.transports import READ_DIRECTLY


class AcceptedTransport(tcp.Server):
    """An accepted TCP connection. Its texts for people are made when they are needed."""

    _prepare: Callable[[], None]
    _hasEnded: bool

    # Whether other processes may have copies of the sockets; see shareSockets().
    _areShared = False

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: tuple[Any, ...],
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        # The steps of the stock classes.
        self.reactor, self.protocol = reactor, protocol
        self.socket, self.fileno = sock, sock.fileno
        sock.setblocking(False)
        self._tempDataBuffer, self._tempDataLen = [], 0
        self._prepare()
        if len(client) != 2:
            self._addressType = IPv6Address
        self.server, self.client, self.sessionno = server, client, sessionno
        self.hostname = client[0]
        self._protocolName = type(protocol).__name__
        reactor.addReader(self)
        self.connected = 1

    def connectionLost(self, reason: Failure) -> None:
        """See ``tcp.Connection``, whose steps these are."""
        if "socket" not in self.__dict__:
            # An abort and an exception in the same event both end the connection.
            return
        self.disconnected, self.connected = 1, 0
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        self.stopReading()
        self.stopWriting()
        self._closeSocket(not isinstance(reason.value, ConnectionAborted))
        protocol = self.protocol
        del self.protocol, self.socket, self.fileno
        protocol.connectionLost(reason)

    @property
    def _shouldShutdown(self) -> bool:  # type: ignore[override]
        # After the peer's FIN close(2) sends ours, unless another process has the socket, such as
        # the one that accepted an adopted connection. With unread data it would send a reset.
        return self._areShared or not self._hasEnded or self.server is None

    @cached_property
    def logstr(self) -> str:  # type: ignore[override]
        """See ``tcp.Connection``."""
        protocol = getattr(self, "protocol", None)
        prefix = self._protocolName if protocol is None else self._getLogPrefix(protocol)
        return f"{prefix},{self.sessionno},{self.hostname}"

    @cached_property
    def repstr(self) -> str:  # type: ignore[override]
        """See ``tcp.Server``."""
        return f"<{self._protocolName} #{self.sessionno} on {self.server._realPortNumber}>"


def shareSockets() -> None:
    """
    From now on shut connections down before closing them: a child process may have copies of the
    sockets, which would keep the connections open.
    """
    AcceptedTransport._areShared = True


os.register_at_fork(before=shareSockets)


class TCPServer(RelayStream, AcceptedTransport):
    """An accepted TCP connection."""

    __init__ = AcceptedTransport.__init__


class TCPClient(RelayStream, tcp.Client):
    """An outgoing TCP connection."""


READ_DIRECTLY.update((TCPServer, TCPClient))


class ListeningSocket(socket.socket):
    """A listening socket that remembers what is the same for all its connections."""

    def __init__(self, made: socket.socket) -> None:
        self._kind = int(made.family), int(made.type), made.proto
        super().__init__(*self._kind, made.detach())
        self.setblocking(False)

    def accept(self) -> tuple[socket.socket, Any]:
        """See ``socket.socket``."""
        number, address = self._accept()  # type: ignore[attr-defined]
        return socket.socket(*self._kind, number), address


class TCPPort(tcp.Port):
    """Accepts TCP connections with direct transports."""

    transport: Any = TCPServer

    def startListening(self) -> None:
        """See ``IListeningPort``."""
        super().startListening()
        self.socket = ListeningSocket(self.socket)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]

    def doRead(self) -> None:
        """Accept connections; errors are handled by the stock code, which meets them again."""
        limit, accepted = self.numberAccepts, 0
        try:
            while accepted < limit:
                try:
                    made, address = self.socket.accept()
                except BlockingIOError:
                    break
                except OSError:
                    super().doRead()
                    return
                accepted += 1
                self._accepted(made, address)
            # As the stock port: many waiting clients are accepted faster, few with no vain attempt.
            self.numberAccepts = limit + 20 if accepted == limit else max(1, accepted)
        except BaseException:  # noqa: BLE001 - the stock port does the same
            log.deferr()

    def _accepted(self, made: socket.socket, address: tuple[Any, ...]) -> None:
        if len(address) == 4 and address[3]:
            # The name of the scope belongs to the address.
            names = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            address = (names[0], *address[1:])
        factory: Any = self.factory
        transport = None
        try:
            protocol = factory.buildProtocol(self._buildAddr(address))
            if protocol is not None:
                number = self.sessionno
                self.sessionno = number + 1
                transport = self.transport(made, protocol, address, self, number, self.reactor)
        finally:
            if transport is None:
                made.close()
        if transport is not None:
            protocol.makeConnection(transport)


class TCPConnector(tcp.Connector):
    """Makes TCP connections with direct transports."""

    def _makeTransport(self) -> tcp.Client:
        return TCPClient(self.host, self.port, self.bindAddress, self, self.reactor)
