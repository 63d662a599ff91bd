"""
What stands between a stream listener's transport and its service: a PROXY header, TLS, or both in this order.
Pure: values, and how they are written in a description; :mod:`echoproto.server.builder` builds them.

A description takes these arguments besides Twisted's own:

======================= ===============================================================
``tlsCert=``            PEM file of the certificate and its chain, or a folder (TLSFiles)
``tlsKey=``             PEM file of its key; the file of the certificate where not given
``tlsChain=``           PEM file of more certificates between it and its root
``tlsClientCA=``        PEM file of the authorities whose clients are let in: mutual TLS
``tls=no``              plain, though ``--tls-cert`` is given
``proxy=``              ``v1``, ``v2`` or ``any``: the PROXY header that every client sends
``trust=``              networks of the proxies, with commas between; loopback unless given
======================= ===============================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from echoproto.addresses import parseNetwork
from echoproto.server.certificates import TLSFiles
from echoproto.transports.proxyheader import ProxyProtocolVersion

#: The proxies that are trusted unless others are named: those on this machine.
LOOPBACK = ("127.0.0.0/8", "::1")


@dataclass(frozen=True)
class ProxyRule:
    """
    Which PROXY headers are taken.

    :ivar versions: of the header.
    :ivar trusted: networks whose headers are believed, as text.
    """

    versions: ProxyProtocolVersion
    trusted: tuple[str, ...] = LOOPBACK


@dataclass(frozen=True)
class Layers:
    """
    :ivar tls: what TLS shows and demands; ``None`` for plain.
    :ivar proxy: the PROXY header that is expected; ``None`` for none.
    :ivar plain: whether it was said to be plain, whatever holds by default.
    """

    tls: TLSFiles | None = None
    proxy: ProxyRule | None = None
    plain: bool = False

    def orTLS(self, default: TLSFiles | None) -> Layers:
        """These layers, with the TLS of ``default`` where nothing was said of TLS."""
        return self if self.plain or self.tls is not None else replace(self, tls=default)


def parseLayers(arguments: dict[str, str]) -> Layers:
    """
    Take our arguments out of a description's.

    :param arguments: names and values; ours are removed.
    :raise ValueError: one of them is wrong.
    """
    wanted = arguments.pop("tls", None)
    if wanted not in (None, "no"):
        raise ValueError(f"tls={wanted}: only tls=no is known; tlsCert= turns it on")
    return Layers(_takeTLS(arguments), _takeProxy(arguments), plain=wanted == "no")


def _takeTLS(arguments: dict[str, str]) -> TLSFiles | None:
    certificate = arguments.pop("tlsCert", None)
    key, clientCA, chain = (
        arguments.pop(f"tls{name}", None) for name in ("Key", "ClientCA", "Chain")
    )
    if certificate is not None:
        return TLSFiles(certificate, key or certificate, clientCA, chain)
    if (key, clientCA, chain) != (None, None, None):
        raise ValueError("tlsKey=, tlsClientCA= and tlsChain= need tlsCert=")
    return None


def _takeProxy(arguments: dict[str, str]) -> ProxyRule | None:
    versions, trust = arguments.pop("proxy", None), arguments.pop("trust", None)
    if versions is None:
        if trust is not None:
            raise ValueError("trust= needs proxy=")
        return None
    if versions not in [each.value for each in ProxyProtocolVersion]:
        raise ValueError(f"proxy={versions}: give v1, v2 or any")
    networks = LOOPBACK if trust is None else tuple(trust.split(","))
    for network in networks:
        parseNetwork(network)
    return ProxyRule(ProxyProtocolVersion(versions), networks)
