"""
Echo (RFC 862) and greeting services and clients for Twisted, over TCP and UDP.

What a program imports stands in ``__all__``; the exceptions are in :mod:`echoproto.errors`, the
in-memory carriers for tests in :mod:`echoproto.testing`, and TLS, which needs an extra, in
:mod:`echoproto.transports.tls`. Importing any of it installs no reactor.
"""

from __future__ import annotations

from echoproto.addresses import AddressFilter
from echoproto.client import (
    EchoClient,
    EchoDatagramClient,
    connectEcho,
    connectEchoDatagram,
    greet,
)
from echoproto.protocols.admission import ConnectionAdmission, DatagramAdmission
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory, EchoProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory, GreetingProtocol
from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.protocols.timeouts import Timeouts
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory
from echoproto.transports.udp import DatagramPort, listenDatagrams

__version__ = "0.1.0"

__all__ = [
    "AddressFilter",
    "CloseReason",
    "ConnectionAdmission",
    "ConnectionSummary",
    "DatagramAdmission",
    "DatagramPort",
    "DatagramTotals",
    "EchoClient",
    "EchoDatagramClient",
    "EchoDatagramProtocol",
    "EchoFactory",
    "EchoProtocol",
    "GreetingDatagramProtocol",
    "GreetingFactory",
    "GreetingProtocol",
    "IObserver",
    "ProxyProtocolFactory",
    "ProxyProtocolVersion",
    "Timeouts",
    "connectEcho",
    "connectEchoDatagram",
    "greet",
    "listenDatagrams",
]
