"""
Opening listeners on sockets that this process was passed, by systemd or by its supervisor.
"""

from __future__ import annotations

import os
import socket
from typing import Any, cast

from twisted.internet import unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import DatagramProtocol

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM
from echoproto.server.systemd import PassedSocket
from echoproto.transports.serversocket import setServerOptions
from echoproto.transports.udp import DatagramPort


class _PassedUNIXPort(unix.Port):
    """
    A UNIX port whose socket and file belong to systemd. The stock port opens the file for all users
    (and fails, because the file is not its own), and at the end removes it and shuts the socket
    down for systemd too.
    """

    _shouldShutdown = False

    def __init__(self, fileName: str | bytes, factory: IProtocolFactory, reactor: Any) -> None:
        # Under an abstract name it leaves the file alone. It listens once more, because the backlog
        # of the unit is unknown.
        name = b"\0" + os.fsencode(fileName)
        unix.Port.__init__(self, name, factory, socket.SOMAXCONN, reactor=reactor)

    def _logConnectionLostMsg(self) -> None:
        """Log nothing, because the NUL would end the line in the journal."""


def adoptStream(reactor: Any, passed: PassedSocket, factory: IProtocolFactory) -> IListeningPort:
    """
    Accept connections to ``passed`` with ``factory``; closing the port leaves the socket to
    systemd.

    :param reactor: an ``IReactorSocket``.
    """
    # systemd passes blocking sockets, and the reactor would hang in accept(2).
    os.set_blocking(passed.descriptor, False)
    if passed.family != socket.AF_UNIX:
        tcpPort: IListeningPort = reactor.adoptStreamPort(passed.descriptor, passed.family, factory)
        return tcpPort
    unixPort = cast(Any, _PassedUNIXPort)._fromListeningDescriptor(
        reactor, passed.descriptor, factory
    )
    unixPort.startListening()
    return cast(IListeningPort, unixPort)


def adoptDatagrams(
    reactor: object, passed: PassedSocket, protocol: DatagramProtocol
) -> IListeningPort:
    """
    Answer datagrams to ``passed`` with ``protocol``, from the address that they were sent to;
    closing the port leaves the socket to systemd.

    :param reactor: any with file descriptors.
    """
    os.set_blocking(passed.descriptor, False)
    with socket.socket(fileno=os.dup(passed.descriptor)) as duplicate:
        setServerOptions(duplicate)
    port = cast(Any, DatagramPort)._fromListeningDescriptor(
        reactor, passed.descriptor, passed.family, protocol, MAX_IPV6_DATAGRAM
    )
    port.startListening()
    return cast(IListeningPort, port)
