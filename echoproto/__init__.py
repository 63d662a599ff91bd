"""
Echo (RFC 862) and greeting services and clients for Twisted, over TCP and UDP.

What a program imports stands in ``__all__``; the exceptions are in :mod:`echoproto.errors`, the
in-memory carriers for tests in :mod:`echoproto.testing`. Importing any of it installs no reactor.
"""

from __future__ import annotations

from echoproto.admission import DatagramAdmission
from echoproto.client import (
    EchoClient,
    EchoDatagramClient,
    connectEcho,
    connectEchoDatagram,
    greet,
)
from echoproto.datagramport import DatagramPort, listenDatagrams
from echoproto.echo import EchoDatagrams, EchoFactory, EchoProtocol
from echoproto.greeting import GreetingDatagrams, GreetingFactory, GreetingProtocol
from echoproto.observer import ConnectionSummary, DatagramTotals, Ending, IObserver

__version__ = "0.1.0"

__all__ = [
    "ConnectionSummary",
    "DatagramAdmission",
    "DatagramPort",
    "DatagramTotals",
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
    "connectEcho",
    "connectEchoDatagram",
    "greet",
    "listenDatagrams",
]
