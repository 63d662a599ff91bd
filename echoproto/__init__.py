"""
Echo (RFC 862) and greeting services and clients for Twisted, over TCP and UDP.

``__all__`` is the public API. Exceptions are in :mod:`echoproto.errors`, transports for tests in
:mod:`echoproto.testing`, and TLS in :mod:`echoproto.transports.tls`.
Importing any of it installs no reactor.
"""

from __future__ import annotations

from importlib import import_module

# Not that of typing, whose import takes as long as a health check.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from echoproto.client.datagram import EchoDatagramClient, connectEchoDatagram
    from echoproto.client.greeting import greet
    from echoproto.client.stream import EchoClient, connectEcho
    from echoproto.protocols.admission.addressfilter import AddressFilter
    from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
    from echoproto.protocols.admission.datagramadmission import DatagramAdmission
    from echoproto.protocols.datagram import DatagramServerProtocol
    from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory, EchoProtocol
    from echoproto.protocols.greeting import (
        GreetingDatagramProtocol,
        GreetingFactory,
        GreetingProtocol,
    )
    from echoproto.protocols.observer import (
        CloseReason,
        ConnectionSummary,
        DatagramTotals,
        IObserver,
    )
    from echoproto.protocols.stream import StreamProtocol
    from echoproto.protocols.streamfactory import StreamFactory
    from echoproto.protocols.timeouts import Timeouts
    from echoproto.transports.datagramreactor import listenDatagrams
    from echoproto.transports.proxyheader import ProxyProtocolVersion
    from echoproto.transports.proxyprotocol import ProxyProtocolFactory
    from echoproto.transports.udp import DatagramPort

__version__ = "0.1.0"

__all__ = [
    "AddressFilter",
    "CloseReason",
    "ConnectionAdmission",
    "ConnectionSummary",
    "DatagramAdmission",
    "DatagramPort",
    "DatagramServerProtocol",
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
    "StreamFactory",
    "StreamProtocol",
    "Timeouts",
    "connectEcho",
    "connectEchoDatagram",
    "greet",
    "listenDatagrams",
]

# Each name is imported when it is first used (PEP 562): the command ``echoproto``, whose modules
# import this package too, would otherwise spend half its start on what it does not use.
_HOMES = {
    name: f"echoproto.{module}"
    for module, names in {
        "client.datagram": "EchoDatagramClient connectEchoDatagram",
        "client.greeting": "greet",
        "client.stream": "EchoClient connectEcho",
        "protocols.admission.addressfilter": "AddressFilter",
        "protocols.admission.connectionadmission": "ConnectionAdmission",
        "protocols.datagram": "DatagramServerProtocol",
        "protocols.admission.datagramadmission": "DatagramAdmission",
        "protocols.echo": "EchoDatagramProtocol EchoFactory EchoProtocol",
        "protocols.greeting": "GreetingDatagramProtocol GreetingFactory GreetingProtocol",
        "protocols.observer": "CloseReason ConnectionSummary DatagramTotals IObserver",
        "protocols.stream": "StreamProtocol",
        "protocols.streamfactory": "StreamFactory",
        "protocols.timeouts": "Timeouts",
        "transports.datagramreactor": "listenDatagrams",
        "transports.proxyheader": "ProxyProtocolVersion",
        "transports.proxyprotocol": "ProxyProtocolFactory",
        "transports.udp": "DatagramPort",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
