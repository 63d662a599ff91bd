from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.config.status import statusListener


class StatusListenerTests(SynchronousTestCase):
    def test_places(self) -> None:
        """A port is one of 127.0.0.1; a description of a stream is used as it is."""
        self.assertEqual(
            statusListener("9100").description, "tcp:9100:interface=127.0.0.1:backlog=1024"
        )
        self.assertEqual(statusListener("unix:/x").carrier, "unix")

    def test_invalid(self) -> None:
        """Anything else is refused in the operator's words."""
        for text, message in (
            ("abc", "invalid listener 'abc' (a port, or a tcp: or unix: description)"),
            ("udp:7", "invalid listener 'udp:7' (a port, or a tcp: or unix: description)"),
            ("tcp:abc", "invalid listener 'tcp:abc': 'abc' must be a number"),
            ("tcp:7:fault=delay=1s", "a status listener has no faults"),
        ):
            with self.assertRaises(StartupError) as raised:
                statusListener(text)
            self.assertIn(message, str(raised.exception))
