"""TCP transports, ports and connectors of the direct reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp

from echoproto.reactors.relay import RelayStream


class TCPServer(RelayStream, tcp.Server):
    """An accepted TCP connection."""


class TCPClient(RelayStream, tcp.Client):
    """An outgoing TCP connection."""


class TCPPort(tcp.Port):
    """Accepts TCP connections with direct transports."""

    transport: Any = TCPServer


class TCPConnector(tcp.Connector):
    """Makes TCP connections with direct transports."""

    def _makeTransport(self) -> tcp.Client:
        return TCPClient(self.host, self.port, self.bindAddress, self, self.reactor)
