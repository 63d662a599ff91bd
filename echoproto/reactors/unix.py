"""Transports, ports and connectors of UNIX sockets of the direct reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet import unix

from echoproto.reactors.transports import DirectTransport


class UNIXServer(DirectTransport, unix.Server):
    """An accepted connection of a UNIX socket."""

    _sendmsgQueue: Any


class UNIXClient(DirectTransport, unix.Client):
    """An outgoing connection to a UNIX socket."""

    _sendmsgQueue: Any


class UNIXPort(unix.Port):
    """Accepts connections of UNIX sockets with direct transports."""

    transport: Any = UNIXServer


class UNIXConnector(unix.Connector):
    """Makes connections to UNIX sockets with direct transports."""

    def _makeTransport(self) -> Any:
        return UNIXClient(self.address, self, self.reactor, self.checkPID)
