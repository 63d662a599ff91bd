from __future__ import annotations

from unittest import mock

from tests.reactors.turns import TurnTestCase


class DescriptorTests(TurnTestCase):
    def test_removed(self) -> None:
        """A descriptor may be removed again, or when its number is known no more."""
        recorder, peer = self.adopt()
        transport = recorder.transport
        self.reactor.addWriter(transport)
        for remove, known in (
            (self.reactor.removeReader, self.reactor.getReaders),
            (self.reactor.removeWriter, self.reactor.getWriters),
        ):
            remove(transport)
            remove(transport)
            self.assertNotIn(transport, known())
        self.reactor.addReader(transport)
        with mock.patch.object(transport, "fileno", return_value=-1):
            self.reactor.removeReader(transport)
        self.assertNotIn(transport, self.reactor.getReaders())
        peer.close()

    def test_registered(self) -> None:
        """A descriptor is new in the turn in which it is registered, whatever its events."""
        recorder, _peer = self.adopt()
        transport = recorder.transport
        self.assertIn(transport.fileno(), self.reactor._registered)
        self.reactor._registered.clear()
        self.reactor.addWriter(transport)
        self.reactor.removeReader(transport)
        self.reactor.addReader(transport)
        self.assertNotIn(transport.fileno(), self.reactor._registered)
