"""
The text of a target: ``host``, ``host:port``, ``[v6]:port``, ``udp://host``, ``tls://host``,
``unix:///path``, ``unix://@name``.

Parses only; :mod:`.endpoints` resolves names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from urllib.parse import unquote

#: The default port.
PORT = 12345

CARRIERS = ("tcp", "udp", "tls", "unix")


@dataclass(frozen=True)
class Target:
    """
    A parsed target.

    :ivar text: the text, or ``carrier://host:port``.
    :ivar carrier: ``tcp``, ``udp``, ``tls``, ``unix``; or ``endpoint``, with a description for
        Twisted's ``clientFromString`` in ``path``.
    :ivar host: a name or a numeric address.
    :ivar path: of a UNIX socket.
    """

    text: str
    carrier: str
    host: str = ""
    port: int = PORT
    path: str = ""

    def called(self, host: str) -> str:
        """Its name with another host: ``carrier://host:port``."""
        return f"{self.carrier}://{f'[{host}]' if ':' in host else host}:{self.port}"


def parseTarget(text: str) -> Target:
    """
    Parse a target.

    :raise ValueError: it is invalid; the message is one line.
    """
    scheme, colons, rest = text.partition("://")
    carrier, place = (scheme.lower(), rest) if colons else ("tcp", text)
    written, _, rest = text.partition(":")
    if not colons and written.lower() in CARRIERS and (rest.startswith(("/", "@")) or ":" in rest):
        carrier = written.lower()
        place = rest if carrier == "unix" else rest.lstrip("/")
        raise ValueError(f"{text!r} is written {carrier}://{place}")
    if carrier not in CARRIERS:
        raise ValueError(f"{text!r}: unknown scheme {scheme!r} (known: {', '.join(CARRIERS)})")
    if carrier == "unix":
        if not place.startswith(("/", "@")):
            raise ValueError(f"{text!r}: a UNIX socket is written unix:///path or unix://@name")
        path = unquote(place)
        return Target(text, carrier, path="\0" + path[1:] if path.startswith("@") else path)
    host, port = _hostAndPort(text, place)
    target = Target("", carrier, host, port)
    return replace(target, text=target.called(host))


def _hostAndPort(text: str, place: str) -> tuple[str, int]:
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(
                f"{text!r}: an IPv6 address with a port is written [2001:db8::1]:12345"
            )
        port = rest[1:] if rest else str(PORT)
        _checkIPv6(text, host)
    elif place.count(":") > 1:
        _checkIPv6(text, place)
        host, port = place, str(PORT)
    else:
        host, colon, port = place.partition(":")
        port = port if colon else str(PORT)
    if not host or any(character in host for character in "/@? \t"):
        raise ValueError(
            f"invalid target {text!r} (examples: lab1, lab1:7, [::1]:7, udp://lab1, unix:///path)"
        )
    if host.isdecimal():
        # The system would read it as an address: 12345 is 0.0.48.57.
        raise ValueError(f"{host!r} is no host; a port is written HOST:{host}")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text!r}: invalid port {port!r} (1 to 65535)")
    return host, int(port)


def _checkIPv6(text: str, host: str) -> None:
    try:
        IPv6Address(host.partition("%")[0])
    except ValueError:
        raise ValueError(f"{text!r}: {host!r} is neither an IPv6 address nor HOST:PORT") from None
