"""Port numbers, and descriptions that are read here and not by Twisted."""

from __future__ import annotations

import re

from twisted.internet.abstract import isIPAddress, isIPv6Address

from echoproto.server.config.listener import BACKLOG


def parsePort(text: str) -> int:
    """A port number from its decimal digits; raises ``ValueError`` for anything else."""
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError(
            f"invalid listener {text!r} (examples: 7, tcp:7:interface=127.0.0.1, udp:7; "
            "ports are 0 to 65535)"
        )
    return int(text)


def parseStreams(description: str) -> tuple[int, str] | None:
    """
    The port and the numeric address in ``tcp:PORT[:interface=ADDRESS]`` on IPv4, with our backlog
    or without one; an empty address is all of IPv4. ``None`` for another description, which is left
    to Twisted.
    """
    form = rf"tcp:(\d{{1,5}})(?::interface=([\d.]+))?(?::backlog={BACKLOG})?"
    found = re.fullmatch(form, description, re.ASCII)
    if found is None or int(found[1]) > 65535 or not isIPAddress(found[2] or "0.0.0.0"):
        return None
    return int(found[1]), found[2] or ""


def parseDatagrams(description: str) -> tuple[int, str]:
    r"""
    The port and the numeric address in ``udp:PORT[:interface=ADDRESS]``; an empty address is all of
    IPv4. Colons of an IPv6 address are written ``\\:``, as in every description.

    :raise ValueError: it has another form.
    """
    _, _, rest = description.partition(":")
    port, separator, interface = rest.partition(":interface=")
    interface = interface.replace("\\:", ":")
    if separator and not isIPAddress(interface) and not isIPv6Address(interface):
        raise ValueError(
            f"invalid address {interface!r} in {description!r} (examples: 127.0.0.1, \\:\\:1)"
        )
    if ":" in port or "=" in port:
        raise ValueError(f"invalid listener {description!r}: udp: has interface= and fault= only")
    try:
        return parsePort(port), interface
    except ValueError as error:
        raise ValueError(
            f"invalid listener {description!r} (examples: udp:7, udp:7:interface=127.0.0.1; "
            "ports are 0 to 65535)"
        ) from error
