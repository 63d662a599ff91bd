from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import options
from echoproto.cli.options import (
    CONTEXT,
    GroupedCommand,
    OutputOptions,
    TargetOptions,
    assertOption,
    command,
    connectOptionsOf,
    option,
    outputOptions,
    parseWorkers,
    targetOf,
    targetOptions,
    targetsOf,
)
from echoproto.measure.assertions import parseAssertion
from echoproto.processes.resources import processors
from echoproto.targets.endpoints import ConnectOptions
from echoproto.targets.target import Target


class ParsedParamTypeTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each type parses its values, and leaves parsed values alone."""
        for kind, text, value in (
            (options.DURATION, "20ms", 20_000_000),
            (options.INTERVAL, "1us", 1000),
            (options.TIMEOUT, "1ms", 1_000_000),
            (options.SEND_TIME, "1s", 1_000_000_000),
            (options.COUNT, "1", 1),
            (options.PROBE_SIZE, "0", 0),
            (options.SIZE, "64MiB", 64 << 20),
            (options.RATE, "0.5", 0.5),
            (options.SIZES, "64", (64, 64)),
            (options.SIZES, "1-4KiB", (1, 4096)),
            (options.PATTERN, "ff00", b"\xff\x00"),
            (options.ADDRESS, "::1", "::1"),
            (options.WORKERS, "3", 3),
            (options.ASSERTION, "p99<5ms", parseAssertion("p99<5ms")),
        ):
            self.assertEqual(kind.convert(text, None, None), value)
            if not isinstance(value, str):
                self.assertEqual(kind.convert(value, None, None), value)

    def test_invalid(self) -> None:
        """An invalid value is an error with examples or limits."""
        for kind, text, message in (
            (options.INTERVAL, "0", "interval '0' is too short"),
            (options.TIMEOUT, "0.1ms", "timeout '0.1ms' is too short"),
            (options.SEND_TIME, "0", "would send nothing"),
            (options.COUNT, "0", r"invalid number '0' \(a whole number from 1 to"),
            (options.PROBE_SIZE, "16777217", "a whole number from 0 to 16777216"),
            (options.SEED, "x", "invalid number"),
            (options.RATE, "0", "invalid rate"),
            (options.RATE, "fast", "invalid rate"),
            (options.SIZES, "0", "invalid size"),
            (options.SIZES, "5-1", "invalid size"),
            (options.SIZES, "2MiB", "invalid size"),
            (options.PATTERN, "f", "invalid pattern"),
            (options.ADDRESS, "lab1", "invalid address"),
            (options.TARGET, "lab1:x", "lab1:x"),
            (options.ASSERTION, "p99", "p99"),
        ):
            with self.assertRaisesRegex(click.BadParameter, message):
                kind.convert(text, None, None)


class GroupedCommandTests(SynchronousTestCase):
    def test_groups(self) -> None:
        """Options stand under their titles, in the order in which they are declared."""

        @click.command("x", GroupedCommand, context_settings=CONTEXT)
        @option("First", "-a", is_flag=True, help="A.")
        @option("Second", "-b", default=5, help="B.")
        @option("First", "-c", is_flag=True, help="C.")
        @option("Second", "-d", is_flag=True, hidden=True)
        def makeNothing(**values: object) -> None:
            """Does nothing."""

        output = CliRunner().invoke(makeNothing, ["--help"]).output
        self.assertIn(
            "First:\n  -a  A.\n  -c  C.\n\nSecond:\n  -b INTEGER  B.  [default: 5]\n", output
        )


@dataclass(frozen=True, kw_only=True)
class SomeOptions(TargetOptions, OutputOptions):
    """The options of a command in these tests."""

    assertions: tuple[Any, ...]


class CommandTests(SynchronousTestCase):
    def parsed(self, *words: str) -> SomeOptions:
        """The options of a command that is called with these words."""
        found: list[SomeOptions] = []

        @command("x", SomeOptions, "The end.")
        @targetOptions()
        @outputOptions("text", "json")
        @assertOption
        def keep(options: SomeOptions) -> int:
            """Keep the options."""
            found.append(options)
            return 3

        self.assertEqual(keep.main(list(words), standalone_mode=False), 3)
        self.assertEqual((keep.help, keep.epilog), ("Keep the options.", "The end."))
        return found[0]

    def test_options(self) -> None:
        """A command gets its options as one value."""
        self.assertEqual(
            self.parsed("lab1", "--assert", "p99<5ms", "--out", "x"),
            SomeOptions(
                targets=(Target("tcp://lab1:12345", "tcp", "lab1"),),
                descriptions=(),
                family=None,
                source=None,
                ca="",
                insecure=False,
                output="text",
                out="x",
                assertions=(parseAssertion("p99<5ms"),),
            ),
        )
        self.assertEqual(self.parsed("-o", "json").output, "json")
        self.assertRaises(click.BadParameter, self.parsed, "-o", "csv")

    def test_connectOptions(self) -> None:
        """The connection options make a ConnectOptions."""
        self.assertEqual(connectOptionsOf(self.parsed()), ConnectOptions())
        words = ("-6", "-I", "::1", "--ca", "x.pem", "--insecure")
        self.assertEqual(
            connectOptionsOf(self.parsed(*words), numeric=True),
            ConnectOptions(socket.AF_INET6, "::1", "x.pem", False, True),
        )
        self.assertEqual(connectOptionsOf(self.parsed("-4")).family, socket.AF_INET)

    def test_targets(self) -> None:
        """Endpoint descriptions are targets too; at least one target is needed, of any kind."""
        lab = Target("tcp://lab1:7", "tcp", "lab1", 7)
        other = Target("tcp:lab2:7", "endpoint", path="tcp:lab2:7")
        both = self.parsed("tcp://lab1:7", "--endpoint", "tcp:lab2:7")
        self.assertEqual(targetsOf(both), [lab, other])
        self.assertEqual(targetOf(self.parsed("--endpoint", "tcp:lab2:7")), other)
        with self.assertRaisesRegex(click.UsageError, "missing TARGET"):
            targetsOf(self.parsed())
        with self.assertRaisesRegex(click.UsageError, "too many targets"):
            targetOf(both)


class ParseWorkersTests(SynchronousTestCase):
    def test_number(self) -> None:
        """It is a number, or one per processor that the process may use."""
        self.assertEqual(parseWorkers("4"), 4)
        self.assertEqual(parseWorkers("auto"), processors())

    def test_invalid(self) -> None:
        """Anything else is invalid."""
        for text in ("0", "1025", "many", "²", ""):
            with self.assertRaisesRegex(
                ValueError, r"invalid number of workers .* \(1 to 1024, or"
            ):
                parseWorkers(text)
