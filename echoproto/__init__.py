"""
Echo (RFC 862) and greeting services and clients for Twisted, over TCP and UDP.

What a program imports stands in ``__all__``; the exceptions are in :mod:`echoproto.errors`, the
in-memory carriers for tests in :mod:`echoproto.testing`, and TLS, which needs an extra, in
:mod:`echoproto.tlsstream`. Importing any of it installs no reactor.
"""

from __future__ import annotations

from echoproto.admission import ConnectionAdmission, DatagramAdmission
from echoproto.client import (
    EchoClient,
    EchoDatagramClient,
    connectEcho,
    connectEchoDatagram,
    greet,
)
from echoproto.datagramport import DatagramPort, listenDatagrams
from echoproto.deadlines import Deadlines
from echoproto.echo import EchoDatagrams, EchoFactory, EchoProtocol
from echoproto.greeting import GreetingDatagrams, GreetingFactory, GreetingProtocol
from echoproto.observer import ConnectionSummary, DatagramTotals, Ending, IObserver
from echoproto.proxied import ProxiedFactory
from echoproto.proxyheader import Versions
from echoproto.sources import Networks

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
