"""
Listeners from text. Nothing is opened here.

A bare number means the obvious thing, TCP and UDP on IPv4 and IPv6. Anything else is an endpoint
description of Twisted, with arguments for layers (:mod:`echoproto.server.config.layers`), or one of
two forms that Twisted does not have: ``udp:PORT[:interface=ADDRESS]``, and ``systemd:[NAME]`` for
the sockets passed by systemd, streams and datagrams alike.

``ssl:`` and ``tls:`` become our own TLS over ``tcp:``: Twisted's loses data at the end and, for
``tls:``, reads its whole folder again for every unknown name.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.abstract import isIPv6Address

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.descriptions import parseDatagrams, parsePort, parseStreams
from echoproto.server.config.layers import Layers, parseLayers
from echoproto.server.config.listener import (
    BACKLOG,
    Listener,
    describeNumber,
    passedCarrier,
    quoted,
)
from echoproto.server.config.parsererrors import explain
from echoproto.server.systemd import PassedSocket

#: The addresses of a bare number: all of IPv4, all of IPv6.
EVERYWHERE = ("0.0.0.0", "::")


def parseListener(
    service: str,
    text: str,
    interfaces: tuple[str, ...] = (),
    tls: TLSFiles | None = None,
    passed: Sequence[PassedSocket] = (),
) -> list[Listener]:
    """
    The listeners of an option's value.

    :param service: see :class:`Listener`.
    :param text: a port number or a description.
    :param interfaces: numeric addresses for a port number; all if empty.
    :param tls: TLS for TCP listeners that do not set it themselves; ``None`` for none.
    :param passed: the sockets passed by systemd.
    :raise ValueError: ``text`` is invalid; the message is one line.
    """
    listeners = _parsed(service, text, interfaces, tls, passed)
    if service != "udp-plus":
        return listeners
    datagrams = [listener for listener in listeners if listener.carrier == "udp"]
    if not datagrams:
        raise ValueError(f"invalid listener {text!r}: UDP only (examples: 7, udp:7)")
    return datagrams


def _parsed(
    service: str,
    text: str,
    interfaces: tuple[str, ...],
    tls: TLSFiles | None,
    passed: Sequence[PassedSocket],
) -> list[Listener]:
    if ":" not in text:
        return _atNumber(service, parsePort(text), interfaces, tls)
    if ":fault=" in text:
        # Imported here: a server without faults does not need it.
        from echoproto.server.config.faults import splitFaults, withFaults

        plain, faults = splitFaults(text)
        return withFaults(_parsed(service, plain, interfaces, tls, passed), faults, text)
    if text.startswith("udp:"):
        parseDatagrams(text)
        return [Listener(service, text)]
    try:
        if parseStreams(text) is not None:
            backlog = f":backlog={BACKLOG}"
            description = text.removesuffix(backlog) + backlog
            return [Listener(service, description, layers=Layers(tls), written=text)]
        return _described(service, text, tls, passed)
    except Exception as error:
        raise ValueError(f"invalid listener {text!r}: {explain(error)}") from error


def _atNumber(
    service: str, port: int, interfaces: tuple[str, ...], tls: TLSFiles | None
) -> list[Listener]:
    return [
        Listener(
            service,
            describeNumber(kind, port, interface),
            port,
            interface,
            optional=not interfaces and isIPv6Address(interface),
            layers=Layers(tls if kind == "tcp" else None),
        )
        for interface in interfaces or EVERYWHERE
        for kind in ("tcp", "udp")
    ]


def _described(
    service: str, text: str, tls: TLSFiles | None, passed: Sequence[PassedSocket]
) -> list[Listener]:
    # Imported here, because it imports all that Twisted has for TLS, and a number needs none of it.
    from twisted.internet.endpoints import _parse, serverFromString

    (kind, *values), arguments = _parse(text)
    if kind in _REFUSED:
        raise ValueError(_REFUSED[kind])
    if kind in _TLS_ARGUMENTS:
        kind, values, arguments = _asTCP(kind, values, arguments)
    layers = parseLayers(arguments)
    if kind == "systemd" and "domain" not in arguments:
        return _passedListeners(service, values, arguments, layers, tls, passed)
    if kind in ("tcp", "tcp6") or arguments.get("domain", "").startswith("INET"):
        layers = layers.withDefaultTLS(tls)
    if kind == "unix":
        values, arguments = _withAbstractName(values, arguments)
    if kind in ("tcp", "tcp6", "unix") and len(values) < _BACKLOG_POSITION[kind]:
        # Twisted's 50 are soon used up, and then clients wait a second or more before they retry.
        arguments.setdefault("backlog", str(BACKLOG))
    named = [f"{name}={quoted(value)}" for name, value in arguments.items()]
    description = ":".join([kind, *map(quoted, values), *named])
    serverFromString(None, description)
    return [Listener(service, description, layers=layers, written=text)]


def _withAbstractName(
    values: list[str], arguments: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """``unix:@name`` as the abstract socket ``name``, which has no file to lock."""
    if not values or not values[0].startswith("@"):
        return values, arguments
    return ["\0" + values[0][1:], *values[1:3]], {**arguments, "lockfile": "0"}


#: Descriptions of Twisted that cannot be used here, and why.
_REFUSED = {
    # Twisted's wrapper does not relay half-close, and loses a header that arrives in two pieces.
    "haproxy": "haproxy: would lose data; use tcp:PORT:proxy=any",
    "stdio": "stdio: has no address for clients to connect to",
}

#: Twisted's descriptions with TLS, and the names of their arguments by position.
_TLS_ARGUMENTS = {
    "ssl": ("port", "privateKey", "certKey", "sslmethod", "interface", "backlog"),
    "tls": ("path", "port", "backlog", "interface"),
}


#: The position of the backlog in a description that does not name it.
_BACKLOG_POSITION = {"tcp": 3, "tcp6": 2, "unix": 3}


def _asTCP(
    kind: str, values: list[str], arguments: dict[str, str]
) -> tuple[str, list[str], dict[str, str]]:
    """The ``tcp:`` description, with our arguments, for one with ``ssl:`` or ``tls:``."""
    named = {**dict(zip(_TLS_ARGUMENTS[kind], values, strict=False)), **arguments}
    if kind == "tls":
        named.update(tlsCert=named.pop("path"), interface=named.get("interface", "::"))
    else:
        key = named.pop("privateKey", "server.pem")
        named.update(tlsCert=named.pop("certKey", key), tlsKey=key)
        if "extraCertChain" in named:
            named["tlsChain"] = named.pop("extraCertChain")
    if "proxy" in named:
        raise ValueError("a PROXY header precedes TLS: use tcp:PORT:tlsCert=FILE:proxy=any")
    return "tcp", [named.pop("port")], named


def _passedListeners(
    service: str,
    names: list[str],
    arguments: dict[str, str],
    layers: Layers,
    tls: TLSFiles | None,
    passed: Sequence[PassedSocket],
) -> list[Listener]:
    """A listener for each passed socket, or for each of one name."""
    name = "".join(names)
    found = [socket for socket in passed if name in ("", socket.name)]
    if not found:
        known = ", ".join(dict.fromkeys(socket.name for socket in passed))
        raise ValueError(f"systemd passed no socket of that name (there are: {known or 'none'})")
    if arguments:
        raise ValueError(f"unknown argument {next(iter(arguments))}=")
    layersOf = {"tcp": layers.withDefaultTLS(tls), "unix": layers, "udp": Layers()}
    return [
        Listener(
            service,
            f"systemd:{socket.name}",
            layers=layersOf[passedCarrier(socket)],
            passed=socket,
        )
        for socket in found
    ]
