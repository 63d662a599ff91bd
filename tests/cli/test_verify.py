from __future__ import annotations

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
        self.assertEqual((udp.size, udp.datagram, udp.rate), (1 << 20, 1024, 500.0))
        self.assertIsNone(self.parsed("-z", "1s").size)
