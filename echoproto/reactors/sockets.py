"""The epoll reactor with direct transports on its TCP and UNIX sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IConnector, IListeningPort
from twisted.internet.protocol import ClientFactory, ServerFactory

from echoproto.reactors.descriptors import DescriptorsReactor
from echoproto.reactors.tcp import TCPConnector, TCPPort, TCPServer
from echoproto.reactors.unix import UNIXConnector, UNIXPort, UNIXServer


class DirectSocketsReactor(DescriptorsReactor):
    """Listens, connects and adopts sockets with the classes of :mod:`.tcp` and :mod:`.unix`."""

    def listenTCP(
        self, port: int, factory: ServerFactory, backlog: int = 50, interface: str = ""
    ) -> Any:
        """See ``IReactorTCP``."""
        return _listening(TCPPort(port, factory, backlog, interface, self))

    def listenUNIX(
        self,
        address: Any,  # str or bytes; Twisted's types disagree
        factory: ServerFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> Any:
        """See ``IReactorUNIX``."""
        return _listening(UNIXPort(address, factory, backlog, mode, self, wantPID))

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: socket.AddressFamily, factory: ServerFactory
    ) -> Any:
        """See ``IReactorSocket``."""
        if addressFamily == socket.AF_UNIX:
            return _listening(UNIXPort._fromListeningDescriptor(self, fileDescriptor, factory))
        if addressFamily in self._supportedAddressFamilies:
            return _listening(
                TCPPort._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
            )
        return super().adoptStreamPort(fileDescriptor, addressFamily, factory)

    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: socket.AddressFamily, factory: ServerFactory
    ) -> Any:
        """See ``IReactorSocket``."""
        if addressFamily == socket.AF_UNIX:
            return UNIXServer._fromConnectedSocket(fileDescriptor, factory, self)
        if addressFamily in self._supportedAddressFamilies:
            return TCPServer._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)
        return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,  # its type and the next differ between versions of Twisted
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> Any:
        """See ``IReactorTCP``."""
        return _connecting(TCPConnector(host, port, factory, timeout, bindAddress, self))

    def connectUNIX(
        self, address: str, factory: ClientFactory, timeout: float = 30, checkPID: bool = False
    ) -> Any:
        """See ``IReactorUNIX``."""
        return _connecting(UNIXConnector(address, factory, timeout, self, checkPID))


def _listening(port: IListeningPort) -> IListeningPort:
    port.startListening()
    return port


def _connecting(connector: IConnector) -> IConnector:
    connector.connect()
    return connector
