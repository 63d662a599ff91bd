from __future__ import annotations

import click

from echoproto.cli.verify import verifyCommand
from echoproto.measure.api import DEFAULT_VERIFY_SIZE
from tests.cli.optionscase import OptionsTestCase


class VerifyOptionsTests(OptionsTestCase):
    command = verifyCommand

    def test_size(self) -> None:
        """The number of bytes ends the stream, by default that of the API, or the duration."""
        self.assertEqual(self.parsed().size, DEFAULT_VERIFY_SIZE)
        self.assertEqual(self.parsed("--bytes", "1k").size, 1000)
        udp = self.parsed("udp://lab1")
        self.assertEqual((udp.size, udp.datagram, udp.rate), (1 << 20, None, None))
        self.assertIsNone(self.parsed("-z", "1s").size)
        udp = self.parsed("--rate", "5", "-s", "64", "udp://lab1")
        self.assertEqual((udp.datagram, udp.rate), (64, 5.0))

    def test_contradictions(self) -> None:
        """Options that would have no effect are an error."""
        for words, message in (
            (("--bytes", "1MB", "-z", "1s", "lab1"), "--bytes cannot be used with --duration"),
            (("--rate", "10", "lab1"), "--rate and --size need a target udp://HOST"),
            (("--size", "64", "tls://lab1"), "--rate and --size need a target udp://HOST"),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words)
