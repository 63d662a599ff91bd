from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import paramtypes
from echoproto.cli.paramtypes import parseWorkers
from echoproto.measure.assertions import parseAssertion
from echoproto.processes.resources import processors


class ParsedParamTypeTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each type parses its values, and leaves parsed values alone."""
        for kind, text, value in (
            (paramtypes.DURATION, "20ms", 20_000_000),
            (paramtypes.INTERVAL, "1us", 1000),
            (paramtypes.TIMEOUT, "1ms", 1_000_000),
            (paramtypes.SEND_TIME, "1s", 1_000_000_000),
            (paramtypes.COUNT, "1", 1),
            (paramtypes.PROBE_SIZE, "0", 0),
            (paramtypes.SIZE, "64MiB", 64 << 20),
            (paramtypes.DURATION, "1m30s", 90_000_000_000),
            (paramtypes.RATE, "0.5", 0.5),
            (paramtypes.RATE, "5k", 5000),
            (paramtypes.SIZES, "64", (64, 64)),
            (paramtypes.SIZES, "1-4KiB", (1, 4096)),
            (paramtypes.PATTERN, "ff00", b"\xff\x00"),
            (paramtypes.ADDRESS, "::1", "::1"),
            (paramtypes.TOS, "0xb8", 184),
            (paramtypes.TOS, "EF", 184),
            (paramtypes.TOS, "af41", 136),
            (paramtypes.TOS, "cs1", 32),
            (paramtypes.INTERFACE, "eth0", "eth0"),
            (paramtypes.PROTOCOL_NAME, "h2", "h2"),
            (paramtypes.WORKERS, "3", 3),
            (paramtypes.ASSERTION, "p99<5ms", parseAssertion("p99<5ms")),
        ):
            self.assertEqual(kind.convert(text, None, None), value)
            if not isinstance(value, str):
                self.assertEqual(kind.convert(value, None, None), value)

    def test_label(self) -> None:
        """A label has a name and a value, which may have an equals sign."""
        self.assertEqual(paramtypes.LABEL.convert("site=a=b", None, None), ("site", "a=b"))

    def test_invalid(self) -> None:
        """An invalid value is an error with examples or limits."""
        for kind, text, message in (
            (paramtypes.LABEL, "x", "invalid label 'x'"),
            (paramtypes.INTERVAL, "0", "interval '0' is too short"),
            (paramtypes.TIMEOUT, "0.1ms", "timeout '0.1ms' is too short"),
            (paramtypes.SEND_TIME, "0", "would send nothing"),
            (paramtypes.COUNT, "0", r"invalid number '0' \(a whole number from 1 to"),
            (paramtypes.PROBE_SIZE, "16777217", "a whole number from 0 to 16777216"),
            (paramtypes.SEED, "x", "invalid number"),
            (paramtypes.RATE, "0", "invalid rate"),
            (paramtypes.RATE, "fast", "invalid rate"),
            (paramtypes.SIZES, "0", "invalid size"),
            (paramtypes.SIZES, "5-1", "invalid size"),
            (paramtypes.SIZES, "2MiB", "invalid size"),
            (paramtypes.PATTERN, "f", "invalid pattern"),
            (paramtypes.ADDRESS, "lab1", "invalid address"),
            (paramtypes.LABEL, "site", r"invalid label 'site' \(example: site=lab1\)"),
            (paramtypes.LABEL, "5=x", "invalid label"),
            (paramtypes.TOS, "256", "invalid type of service '256'"),
            (paramtypes.TOS, "af44", "invalid type of service 'af44'"),
            (paramtypes.TTL, "0", "from 1 to 255"),
            (paramtypes.INTERFACE, "an-interface-name", "'ip link' lists them"),
            (paramtypes.PROTOCOL_NAME, "", "1 to 255 ASCII characters"),
            (paramtypes.TARGET, "lab1:x", "lab1:x"),
            (paramtypes.ASSERTION, "p99", "p99"),
        ):
            with self.assertRaisesRegex(click.BadParameter, message):
                kind.convert(text, None, None)


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
