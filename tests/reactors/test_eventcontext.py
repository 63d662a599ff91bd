from __future__ import annotations

from typing import Any

from twisted.python import context, log

from echoproto.reactors.eventcontext import EventContext
from tests.reactors.turns import Recorder, TurnTestCase


class ContextTests(TurnTestCase):
    def prefixes(self, prepare: Any) -> list[str]:
        """The log prefix while a protocol receives."""
        recorder, peer = self.adopt()
        prefixes: list[Any] = []
        recorder.react = lambda data: prefixes.append(context.get(log.ILogContext)["system"])
        prepare(recorder)
        peer.send(b"x")
        self.turn()
        return prefixes

    def test_prefix(self) -> None:
        """Messages logged in an event have the descriptor's prefix; others have none."""
        [prefix] = self.prefixes(lambda recorder: None)
        self.assertTrue(prefix.startswith("Recorder,"))
        self.assertEqual(context.get(log.ILogContext)["system"], "-")

    def test_badPrefix(self) -> None:
        """If a logPrefix method raises, the prefix names it as buggy."""

        def spoil(recorder: Recorder) -> None:
            recorder.transport.logPrefix = lambda: 1 / 0

        self.assertEqual(self.prefixes(spoil), ["(buggy logPrefix method)"])

    def test_keptByAThread(self) -> None:
        """A context kept by a thread keeps its prefix during later events of other connections."""
        first, firstPeer = self.adopt()
        second, secondPeer = self.adopt()
        taken: list[Any] = []
        contexts = context.theContextTracker.currentContext
        first.react = second.react = lambda data: taken.append(contexts().contexts[-1])
        for peer in (firstPeer, secondPeer):
            peer.send(b"x")
            self.turn()
        prefixes = [found[log.ILogContext]["system"] for found in taken]
        expected = [recorder.transport.logPrefix() for recorder in (first, second)]
        self.assertEqual(prefixes, expected)

    def test_others(self) -> None:
        """Other values of the surrounding contexts are accessible."""
        recorder, peer = self.adopt()
        found: list[Any] = []
        recorder.react = lambda data: found.extend([context.get("mine"), context.get("other", 3)])
        peer.send(b"x")
        context.call({"mine": 2}, self.turn)
        self.assertEqual(found, [2, 3])

    def test_unknown(self) -> None:
        """An event context contains only the log context."""
        with self.assertRaises(KeyError):
            EventContext(self.reactor, self.adopt()[0].transport)["other"]
