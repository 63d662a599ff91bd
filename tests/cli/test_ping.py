from __future__ import annotations

from echoproto.cli.ping import pingCommand
from echoproto.cli.sessions import ping
from echoproto.measure.api import DEFAULT_SIZE
from tests.cli.optionscase import OptionsTestCase


class PingOptionsTests(OptionsTestCase):
    command = pingCommand

    def test_size(self) -> None:
        """A probe has as many bytes as one of the API."""
        self.assertEqual(self.parsed(ping, "PingSession", "lab1", "lab2").size, DEFAULT_SIZE)
