"""
Echo (RFC 862) and greeting services and clients for Twisted, over TCP and UDP.

What a program imports stands in ``__all__``; the exceptions are in :mod:`echoproto.errors`, the
in-memory carriers for tests in :mod:`echoproto.testing`, and TLS, which needs an extra, in
:mod:`echoproto.transports.tls`. Importing any of it installs no reactor.
"""

from __future__ import annotations

from echoproto.addresses import Networks
from echoproto.client import (
    EchoClient,
    EchoDatagramClient,
    connectEcho,
    connectEchoDatagram,
    greet,
)
from echoproto.protocols.admission import ConnectionAdmission, DatagramAdmission
from echoproto.protocols.echo import EchoDatagrams, EchoFactory, EchoProtocol
from echoproto.protocols.greeting import GreetingDatagrams, GreetingFactory, GreetingProtocol
from echoproto.protocols.observer import ConnectionSummary, DatagramTotals, Ending, IObserver
from echoproto.protocols.timeouts import Deadlines
from echoproto.transports.proxyheader import Versions
from echoproto.transports.proxyprotocol import ProxiedFactory
from echoproto.transports.udp import DatagramPort, listenDatagrams

__version__ = "0.1.0"

__all__ = [
    "ConnectionAdmission",
    "ConnectionSummary",
    "DatagramAdmission",
    "DatagramPort",
    "DatagramTotals",
    "Deadlines",
    "EchoClient",
    "EchoDatagramClient",
    "EchoDatagrams",
    "EchoFactory",
    "EchoProtocol",
    "Ending",
    "GreetingDatagrams",
    "GreetingFactory",
    "GreetingProtocol",
    "IObserver",
    "Networks",
    "ProxiedFactory",
    "Versions",
    "connectEcho",
    "connectEchoDatagram",
    "greet",
    "listenDatagrams",
]
