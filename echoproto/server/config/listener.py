"""A listener as a value: one service on one carrier at one address."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import Layers
from echoproto.server.systemd import PassedSocket
from echoproto.text.untrusted import escaped

if TYPE_CHECKING:
    from echoproto.protocols.faults.faultplan import FaultPlan

#: Maximum length of the listen backlog; the kernel limits it to ``somaxconn``.
BACKLOG = 1024


@dataclass(frozen=True)
class Listener:
    """
    One service on one carrier at one address.

    :ivar service: ``echo``, ``greeting``, ``udp-plus``, or ``status``, which is not for clients.
    :ivar description: an endpoint description of Twisted, or one that begins with ``udp:``.
    :ivar port: the port of a bare number; 0 stands for one port that is free for every listener of
        that number.
    :ivar interface: likewise: the address of a bare number.
    :ivar optional: whether to continue without it if the machine lacks the address family.
    :ivar layers: the layers between transport and service.
    :ivar passed: the socket passed by systemd or by the supervisor; the description then only names
        it.
    :ivar written: the operator's text, if it was a description.
    :ivar faults: the faults that happen on purpose; ``None`` for those of ``--fault``.
    """

    service: str
    description: str
    port: int | None = None
    interface: str = ""
    optional: bool = False
    layers: Layers = field(default_factory=Layers)
    passed: PassedSocket | None = None
    written: str = ""
    faults: FaultPlan | None = None

    @property
    def carrier(self) -> str:
        """The carrier's name, for people: ``tcp``, ``udp``, ``unix``, ``tls`` …"""
        if self.layers.tls is not None:
            return "tls"
        if self.passed is not None:
            return passedCarrier(self.passed)
        return self.description.partition(":")[0].removesuffix("6")

    @property
    def displayName(self) -> str:
        """
        The listener in messages before it is open: carrier and address if it is a port number,
        otherwise the operator's text, in which bytes of a path that are not UTF-8 are escaped.
        """
        if self.port is not None:
            return f"{self.carrier} {hostPort(self.interface, self.port)}"
        if self.passed is not None and not self.written:
            return f"{self.carrier} {self.description}"
        text = self.written or self.description
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def withCertificates(self, loaded: Mapping[TLSFiles, TLSFiles]) -> Listener:
        """The same listener with the contents of its certificates, if it has any."""
        tls = self.layers.tls
        return self if tls is None else replace(self, layers=replace(self.layers, tls=loaded[tls]))

    def withPort(self, port: int) -> Listener:
        """The same listener of a bare number, on ``port``."""
        kind = self.description.partition(":")[0]
        return replace(self, port=port, description=describeNumber(kind, port, self.interface))


def listenerName(service: str, place: str) -> str:
    """
    The name of a listener in the log, of its service and its place, which are its labels in the
    metrics.
    """
    return f"{service} on {place}"


def hostPort(host: str, port: int) -> str:
    """``127.0.0.1:7`` or ``[::1]:7``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def addressText(address: IAddress | None) -> str:
    """
    An address for people: host and port, or the path of a UNIX socket, with ``@`` for an abstract
    one; of its clients, the user as well.
    """
    known: Any = address
    if hasattr(known, "port"):
        return hostPort(known.host, known.port)
    name = getattr(known, "name", None) or b"unnamed"
    text = escaped(b"@" + name[1:] if name.startswith(b"\0") else name)
    uid = getattr(known, "uid", None)
    return text if uid is None else f"{text} of user {uid}"


def quoted(value: str) -> str:
    """A value as part of an endpoint description of Twisted."""
    return value.replace("\\", "\\\\").replace(":", "\\:")


def describeNumber(kind: str, port: int, interface: str) -> str:
    """The description of a listener of a bare number."""
    backlog = f":backlog={BACKLOG}" if kind == "tcp" else ""
    return f"{kind}:{port}:interface={quoted(interface)}{backlog}"


def passedCarrier(passed: PassedSocket) -> str:
    """The carrier of a passed socket: ``tcp``, ``udp`` or ``unix``."""
    if passed.kind == socket.SOCK_DGRAM:
        return "udp"
    return "unix" if passed.family == socket.AF_UNIX else "tcp"
