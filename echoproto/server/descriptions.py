"""
What an operator writes to say where to listen, made into listeners. Pure: nothing is opened.

A bare number means the obvious thing, TCP and UDP on IPv4 and IPv6. Anything else is an
endpoint description of Twisted's, or ``udp:PORT[:interface=ADDRESS]`` in the same
spelling, which Twisted does not have.

Called by :mod:`echoproto.server.options`, which turns ``ValueError`` into ``CannotStart``, and by
:mod:`echoproto.server.service`, which opens what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import _parse, quoteStringArgument, serverFromString

#: What a bare number listens on unless told otherwise: all of IPv4, all of IPv6.
EVERYWHERE = ("0.0.0.0", "::")

#: Connections that the kernel may hold for us while we are busy; it cuts this to ``somaxconn``.
BACKLOG = 1024


@dataclass(frozen=True)
class Listener:
    """
    One service on one carrier at one address.

    :ivar service: ``echo`` or ``greeting``.
    :ivar description: where: an endpoint description, or one that begins with ``udp:``.
    :ivar port: set where the description is ours to write, from a bare number; 0 stands for
        one port that is free on every listener of that number.
    :ivar interface: set likewise: the address that the number is narrowed to.
    :ivar optional: whether to go on without it where the machine has no such address family.
    """

    service: str
    description: str
    port: int | None = None
    interface: str = ""
    optional: bool = False

    @property
    def carrier(self) -> str:
        """The carrier's name, for people: ``tcp``, ``udp``, ``unix``, ``tls`` …"""
        return self.description.partition(":")[0].removesuffix("6")

    @property
    def where(self) -> str:
        """Where it is, for people: carrier and address of a bare number, else the description."""
        if self.port is None:
            return self.description
        return f"{self.carrier} {hostPort(self.interface, self.port)}"

    def at(self, port: int) -> Listener:
        """The same listener of a bare number, on ``port``."""
        return replace(self, port=port, description=_describe(self.carrier, port, self.interface))


def listenersFor(service: str, text: str, interfaces: tuple[str, ...] = ()) -> list[Listener]:
    """
    The listeners that an option's value asks for.

    :param service: ``echo`` or ``greeting``.
    :param text: a port number or a description.
    :param interfaces: numeric addresses that narrow a port number; all where empty.
    :raise ValueError: ``text`` is neither; the message says what is wrong.
    """
    if ":" in text:
        checkDescription(text)
        return [Listener(service, text)]
    port = parsePort(text)
    return [
        Listener(
            service,
            _describe(carrier, port, interface),
            port,
            interface,
            optional=not interfaces and isIPv6Address(interface),
        )
        for interface in interfaces or EVERYWHERE
        for carrier in ("tcp", "udp")
    ]


def hostPort(host: str, port: int) -> str:
    """``127.0.0.1:7`` or ``[::1]:7``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _describe(carrier: str, port: int, interface: str) -> str:
    backlog = f":backlog={BACKLOG}" if carrier == "tcp" else ""
    return f"{carrier}:{port}:interface={quoteStringArgument(interface)}{backlog}"


def parsePort(text: str) -> int:
    """A port number from its decimal digits; ``ValueError`` where it is none."""
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(
            f"{text!r} is not a port number (0 to 65535), nor a description such as "
            "tcp:7:interface=127.0.0.1 or udp:7"
        )
    return int(text)


def checkDescription(description: str) -> None:
    """Raise ``ValueError`` where ``description`` describes nothing that can be listened on well."""
    if description.startswith("udp:"):
        parseDatagrams(description)
        return
    try:
        (kind, *arguments), options = _parse(description)
        if kind in _REFUSED:
            raise ValueError(_REFUSED[kind])
        if kind in ("tls", "ssl") and find_spec("OpenSSL") is None:
            raise ValueError("TLS needs: pip install 'echoproto[tls]'")
        serverFromString(None, description)
        if kind == "tls":
            _checkCertificates([*arguments, options.get("path")][0])
    except Exception as error:
        raise ValueError(f"{description!r} is no listener: {_why(error)}") from error


#: Descriptions that Twisted knows and that are none for us, and why.
_REFUSED = {
    # Twisted's wrapper relays no half-close, and loses a header that comes in two pieces.
    "haproxy": "haproxy: would lose bytes; listen without it",
    "stdio": "stdio: is no place that clients connect to",
}


def _why(error: Exception) -> str:
    """In an operator's words what Twisted's parsers, which raise whatever they meet, mean."""
    if isinstance(error, TypeError):
        return "an argument is missing, unknown or given twice (write \\: for : inside an address)"
    if isinstance(error, LookupError):
        return "no such socket was passed by systemd"
    return " ".join(str(error).split()) or type(error).__name__


def _checkCertificates(folder: str) -> None:
    # Without any the endpoint would listen all the same, and fail every handshake.
    if not list(Path(folder).glob("*.pem")):
        raise ValueError(f"the folder {folder!r} has no .pem file with a key and its certificate")


def parseDatagrams(description: str) -> tuple[int, str]:
    """
    The port and the numeric address in ``udp:PORT[:interface=ADDRESS]``; the address is empty, for all of
    IPv4, where none is given. Colons of an IPv6 address are written ``\\:`` as in every description.

    :raise ValueError: it is not of that form.
    """
    _, _, rest = description.partition(":")
    port, given, interface = rest.partition(":interface=")
    interface = interface.replace("\\:", ":")
    if given and not isIPAddress(interface) and not isIPv6Address(interface):
        raise ValueError(f"{description!r}: {interface!r} is not a numeric address")
    try:
        return parsePort(port), interface
    except ValueError as error:
        raise ValueError(f"{description!r} is not udp:PORT[:interface=ADDRESS]: {error}") from error
