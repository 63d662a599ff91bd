from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.target import PORT, Target, parseTarget


class TargetTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Every form of a target is parsed, and gets a canonical name."""
        for text, name, carrier, host, port in (
            ("lab1", f"tcp://lab1:{PORT}", "tcp", "lab1", PORT),
            ("lab1:7", "tcp://lab1:7", "tcp", "lab1", 7),
            ("192.0.2.1:7", "tcp://192.0.2.1:7", "tcp", "192.0.2.1", 7),
            ("[2001:db8::1]:7", "tcp://[2001:db8::1]:7", "tcp", "2001:db8::1", 7),
            ("[::1]", f"tcp://[::1]:{PORT}", "tcp", "::1", PORT),
            ("fe80::1%eth0", f"tcp://[fe80::1%eth0]:{PORT}", "tcp", "fe80::1%eth0", PORT),
            ("udp://lab1", f"udp://lab1:{PORT}", "udp", "lab1", PORT),
            ("TLS://lab1:7", "tls://lab1:7", "tls", "lab1", 7),
        ):
            self.assertEqual(parseTarget(text), Target(name, carrier, host, port), text)

    def test_unix(self) -> None:
        """The path of a UNIX socket may have percent-encoded characters."""
        self.assertEqual(parseTarget("unix:///run/a%20b").path, "/run/a b")

    def test_abstract(self) -> None:
        """A name after @ is that of an abstract UNIX socket."""
        self.assertEqual(parseTarget("unix://@echo").path, "\0echo")

    def test_invalid(self) -> None:
        """Invalid targets raise an error that shows the correct form."""
        for text, message in (
            ("", "invalid target"),
            ("12345", "'12345' is no host; a port is written HOST:12345"),
            ("udp://7:12345", "'7' is no host"),
            ("lab1/x", "invalid target"),
            ("http://lab1", "known: tcp, udp, tls, unix"),
            ("lab1:0", "invalid port '0'"),
            ("lab1:", "invalid port ''"),
            ("lab1:65536", "(1 to 65535)"),
            ("lab1:x", "invalid port 'x'"),
            ("[::1", "is written"),
            ("[::1]7", "is written"),
            ("[lab1]:7", "is neither an IPv6 address"),
            ("1:2:3", "'1:2:3' is neither an IPv6 address nor HOST:PORT"),
            ("unix://run", "unix:///path"),
            ("unix:/run/echo", "is written unix:///run/echo"),
            ("unix:@echo", "is written unix://@echo"),
            ("udp:lab1:7", "is written udp://lab1:7"),
            ("udp:/lab1", "is written udp://lab1"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                parseTarget(text)
