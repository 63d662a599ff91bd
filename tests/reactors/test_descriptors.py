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

    def test_noted(self) -> None:
        """While events are handled, the first descriptor removed under a number is noted."""
        transport = self.adopt()[0].transport
        number = transport.fileno()
        self.reactor.removeReader(transport)
        self.assertIsNone(self.reactor._removed)
        self.reactor.addReader(transport)
        self.reactor._removed = {}
        self.addCleanup(setattr, self.reactor, "_removed", None)
        self.reactor.removeReader(transport)
        other = mock.Mock(fileno=mock.Mock(return_value=number))
        self.reactor.addReader(other)
        self.reactor.removeReader(other)
        self.assertEqual(self.reactor._removed, {number: transport})

    def test_notedWriter(self) -> None:
        """A descriptor is noted when it is neither reader nor writer, also if it is closed."""
        transport = self.adopt()[0].transport
        number = transport.fileno()
        self.reactor._removed = {}
        self.addCleanup(setattr, self.reactor, "_removed", None)
        self.reactor.addWriter(transport)
        self.reactor.removeReader(transport)
        self.assertEqual(self.reactor._removed, {})
        with mock.patch.object(transport, "fileno", return_value=-1):
            self.reactor.removeWriter(transport)
            self.reactor.removeWriter(transport)
        self.assertEqual(self.reactor._removed, {number: transport})
