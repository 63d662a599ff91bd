from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import LOOPBACK, Layers, ProxyRule, parseLayers
from echoproto.transports.proxyheader import ProxyProtocolVersion

DEFAULT = TLSFiles("default.pem", "default.pem")


class TakeLayersTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """A description without our arguments has the defaults, and keeps Twisted's arguments."""
        arguments = {"interface": "::1"}
        self.assertEqual(parseLayers(arguments), Layers())
        self.assertEqual(parseLayers(arguments).withDefaultTLS(DEFAULT), Layers(DEFAULT))
        self.assertEqual(arguments, {"interface": "::1"})

    def test_tls(self) -> None:
        """tlsCert= turns TLS on, with the key from the same file by default; it is removed."""
        arguments = {"tlsCert": "c", "tlsClientCA": "a", "tlsChain": "b"}
        self.assertEqual(
            parseLayers(arguments).withDefaultTLS(DEFAULT).tls, TLSFiles("c", "c", "a", "b")
        )
        self.assertEqual(arguments, {})
        self.assertEqual(parseLayers({"tlsCert": "c", "tlsKey": "k"}).tls, TLSFiles("c", "k"))

    def test_plain(self) -> None:
        """tls=no turns TLS off, whatever the default."""
        self.assertIsNone(parseLayers({"tls": "no"}).withDefaultTLS(DEFAULT).tls)

    def test_proxy(self) -> None:
        """A PROXY header is expected from proxies on this machine, or from the named networks."""
        self.assertEqual(
            parseLayers({"proxy": "v1"}).proxy, ProxyRule(ProxyProtocolVersion.V1, LOOPBACK)
        )
        rule = parseLayers({"proxy": "any", "trust": "10.0.0.0/8,2001:db8::/32"}).proxy
        self.assertEqual(rule, ProxyRule(ProxyProtocolVersion.ANY, ("10.0.0.0/8", "2001:db8::/32")))

    def test_wrong(self) -> None:
        """Invalid combinations are reported."""
        for arguments, reason in (
            ({"tls": "yes"}, "tlsCert= switches TLS on"),
            ({"tlsKey": "k"}, "need tlsCert="),
            ({"tlsClientCA": "a"}, "need tlsCert="),
            ({"tlsChain": "b"}, "need tlsCert="),
            ({"trust": "::1"}, "trust= needs proxy="),
            ({"proxy": "v3"}, "(v1, v2 or any)"),
            ({"proxy": "v1", "trust": "lab"}, "'lab' is not a network"),
        ):
            with self.assertRaises(ValueError) as raised:
                parseLayers(dict(arguments))
            self.assertIn(reason, str(raised.exception))
