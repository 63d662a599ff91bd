"""
The layers between a stream listener's transport and its service: a PROXY header, TLS, or both in
this order. Values, and their form in a description; they are built by
:mod:`echoproto.server.listeners.builder`.

A description takes these arguments besides Twisted's own:

======================= ===============================================================
``tlsCert=``            PEM file of the certificate and its chain, or a folder (TLSFiles)
``tlsKey=``             PEM file of its key; by default the file of the certificate
``tlsChain=``           PEM file of more certificates between it and its root
``tlsClientCA=``        PEM file of the authorities of accepted clients: mutual TLS
``tls=no``              no TLS, even with ``--tls-cert``
``proxy=``              ``v1``, ``v2`` or ``any``: the PROXY header that every client sends
``trust=``              networks of the proxies, separated by commas; by default loopback
======================= ===============================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from echoproto.protocols.admission.addressfilter import parseNetwork
from echoproto.server.certificates.tlsfiles import TLSFiles

if TYPE_CHECKING:
    from echoproto.transports.proxyheader import ProxyProtocolVersion

#: The proxies trusted by default: those on this machine.
LOOPBACK = ("127.0.0.0/8", "::1")


@dataclass(frozen=True)
class ProxyRule:
    """
    The accepted PROXY headers.

    :ivar versions: their versions.
    :ivar trusted: networks whose headers are accepted, as text.
    """

    versions: ProxyProtocolVersion
    trusted: tuple[str, ...] = LOOPBACK


@dataclass(frozen=True)
class Layers:
    """
    The layers of a listener.

    :ivar tls: the files for TLS; ``None`` for no TLS.
    :ivar proxy: the expected PROXY header; ``None`` for none.
    :ivar plain: whether TLS was switched off explicitly.
    """

    tls: TLSFiles | None = None
    proxy: ProxyRule | None = None
    plain: bool = False

    def withDefaultTLS(self, default: TLSFiles | None) -> Layers:
        """These layers, with the TLS of ``default`` unless TLS was set or switched off."""
        return self if self.plain or self.tls is not None else replace(self, tls=default)


def parseLayers(arguments: dict[str, str]) -> Layers:
    """
    Remove the arguments of layers from those of a description.

    :param arguments: names and values; those of layers are removed.
    :raise ValueError: one of them is invalid.
    """
    wanted = arguments.pop("tls", None)
    if wanted not in (None, "no"):
        raise ValueError(f"tls={wanted}: only tls=no is valid; tlsCert= switches TLS on")
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
    # Imported here: a server without PROXY headers starts sooner without it.
    from echoproto.transports.proxyheader import ProxyProtocolVersion

    if versions not in [version.value for version in ProxyProtocolVersion]:
        raise ValueError(f"proxy={versions}: invalid (v1, v2 or any)")
    networks = LOOPBACK if trust is None else tuple(trust.split(","))
    for network in networks:
        parseNetwork(network)
    return ProxyRule(ProxyProtocolVersion(versions), networks)
