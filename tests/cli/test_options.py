from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import click

from echoproto.cli.declarations import (
    option,
    optionValues,
)
from echoproto.cli.options import EventOptions
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import Target
from echoproto.measure.assertions import parseAssertion
from tests.cli.optionscase import OptionsTestCase


@dataclass(frozen=True, kw_only=True)
class SeveralOptions(EventOptions):
    """The options of a command that takes several targets."""

    takesSeveral = True

    @property
    def unmeasured(self) -> Sequence[str]:
        return ("late",)


@dataclass(frozen=True, kw_only=True)
class PatternOptions(EventOptions):
    """Options with bytes among them."""

    pattern: bytes = option("First", type=bytes, default=b"\0\xff")


class CommandTests(OptionsTestCase):
    def options(self, *words: str, kind: type[EventOptions] = EventOptions) -> EventOptions:
        """The options of a command that is called with these words."""
        found: EventOptions = self.parsedAs(kind, *words)
        return found

    def test_options(self) -> None:
        """A command gets its options as one value."""
        self.assertEqual(
            self.options("lab1", "--assert", "p99<5ms", "--out", "x", "--label", "site=roof"),
            EventOptions(
                targets=(Target("tcp://lab1:12345", "tcp", "lab1"),),
                ipv4=False,
                ipv6=False,
                source=None,
                descriptions=(),
                ca=None,
                insecure=False,
                cert=None,
                key=None,
                servername=None,
                alpn=(),
                interface=None,
                tos=None,
                ttl=None,
                dontFragment=False,
                output="text",
                out="x",
                assertions=(parseAssertion("p99<5ms"),),
                labels=(("site", "roof"),),
            ),
        )
        self.assertEqual(self.options("-o", "json").output, "json")
        self.assertRaises(click.BadParameter, self.options, "-o", "xml")

    def test_values(self) -> None:
        """The options in effect are plain values by their long names, without labels."""
        words = ("-4", "lab1", "--assert", "p99<5ms", "--label", "site=roof")
        self.assertEqual(
            optionValues(self.options(*words, kind=PatternOptions)),
            {
                "targets": ["tcp://lab1:12345"],
                "ipv4": True,
                "ipv6": False,
                "source": None,
                "endpoint": [],
                "ca": None,
                "insecure": False,
                "cert": None,
                "key": None,
                "servername": None,
                "alpn": [],
                "interface": None,
                "tos": None,
                "ttl": None,
                "dont-fragment": False,
                "output": "text",
                "out": None,
                "assert": ["p99<5ms"],
                "pattern": "00ff",
            },
        )

    def test_assertions(self) -> None:
        """An assertion about a value that the command does not measure names those that it has."""
        words = ("--assert", "late<1")
        self.assertEqual(self.options(*words).assertions[0].name, "late")
        with self.assertRaises(click.UsageError) as raised:
            self.options(*words, kind=SeveralOptions)
        self.assertIn("--assert 'late<1': late is not measured", raised.exception.message)
        self.assertIn("reordered, foreign, ", raised.exception.message)

    def test_unknownAssertion(self) -> None:
        """An unknown name in an assertion is answered by the names of what is measured here."""
        with self.assertRaises(click.UsageError) as raised:
            self.options("--assert", "p98<5ms", kind=SeveralOptions)
        self.assertIn("--assert 'p98<5ms': p98 is unknown (names: min, ", raised.exception.message)
        self.assertNotIn(" late,", raised.exception.message)

    def test_connect(self) -> None:
        """The connection options make a ConnectOptions."""
        self.assertEqual(self.options().connect, ConnectOptions())
        words = ("-6", "-I", "::1", "--ca", "x.pem", "--insecure")
        self.assertEqual(
            self.options(*words).connect, ConnectOptions(socket.AF_INET6, "::1", "x.pem", False)
        )
        secured = ("--cert", "c.pem", "--key", "k.pem", "--servername", "lab1", "--alpn", "echo")
        self.assertEqual(
            self.options(*secured, "--alpn", "h2").connect,
            ConnectOptions(
                certFile="c.pem", keyFile="k.pem", serverName="lab1", alpn=("echo", "h2")
            ),
        )
        packets = ("--interface", "lo", "--tos", "ef", "--ttl", "3", "--dont-fragment")
        self.assertEqual(
            self.options(*packets).connect,
            ConnectOptions(interface="lo", tos=184, ttl=3, dontFragment=True),
        )
        with self.assertRaisesRegex(click.UsageError, "--key needs --cert"):
            self.options("--key", "k.pem")
        self.assertEqual(self.options("--ipv4").connect.family, socket.AF_INET)
        with self.assertRaisesRegex(click.UsageError, "-4 cannot be used with -6"):
            self.options("-4", "-6")

    def test_targets(self) -> None:
        """
        Endpoint descriptions are targets too. At least one target is needed, of any kind, and only
        some commands take more.
        """
        lab = Target("tcp://lab1:7", "tcp", "lab1", 7)
        other = Target("tcp:lab2:7", "endpoint", path="tcp:lab2:7")
        both = ("tcp://lab1:7", "--endpoint", "tcp:lab2:7")
        self.assertEqual(self.options(*both, kind=SeveralOptions).allTargets, [lab, other])
        self.assertEqual(self.options("--endpoint", "tcp:lab2:7").allTargets, [other])
        with self.assertRaisesRegex(click.UsageError, "missing TARGET"):
            self.options().allTargets  # noqa: B018 - it raises
        with self.assertRaisesRegex(click.UsageError, "too many targets"):
            self.options(*both).allTargets  # noqa: B018 - it raises

    def test_needsTLS(self) -> None:
        """Options of TLS need a target that speaks it, so that none is silently in plain text."""
        for words in (
            ("--ca", "x.pem"),
            ("--insecure",),
            ("--cert", "x.pem"),
            ("--servername", "lab1"),
            ("--alpn", "h2"),
        ):
            for target in (("lab1",), ("udp://lab1",), ("--endpoint", "tcp:lab1:7")):
                with self.assertRaisesRegex(click.UsageError, f"{words[0]} needs a target tls://"):
                    self.options(*words, *target).allTargets  # noqa: B018 - it raises
            options = self.options(*words, "tls://lab1", "lab2", kind=SeveralOptions)
            self.assertEqual(len(options.allTargets), 2)
