"""Pausing of a TLS peer that does not read the answers that it requests."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.transports.tlsreadpauser import ANSWER_LIMIT, ReadPauser
from tests.transports.tlscase import RecordingProducer


class ReadPauserTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reading = RecordingProducer()
        self.pauser = ReadPauser(self.reading)

    def test_interface(self) -> None:
        """It is a push producer; nothing happens when it is stopped."""
        verifyObject(IPushProducer, self.pauser)
        self.pauser.stopProducing()
        self.assertEqual(self.reading.events, [])

    def test_fewAnswers(self) -> None:
        """A peer whose answers are few is read, however full the queue is."""
        self.pauser.add(ANSWER_LIMIT)
        self.pauser.pauseProducing()
        self.pauser.resumeProducing()
        self.assertEqual(self.reading.events, [])

    def test_manyAnswers(self) -> None:
        """A full queue with many answers pauses once, before or after they were added."""
        for isFullBefore in (True, False):
            self.setUp()
            if isFullBefore:
                self.pauser.pauseProducing()
            self.pauser.add(ANSWER_LIMIT)
            self.pauser.add(1)
            self.pauser.pauseProducing()
            self.pauser.add(1)
            self.assertEqual(self.reading.events, ["pause"])

    def test_resumed(self) -> None:
        """When the queue is empty the peer is read again, and its answers are counted anew."""
        self.pauser.add(2 * ANSWER_LIMIT)
        self.pauser.pauseProducing()
        self.pauser.resumeProducing()
        self.assertEqual(self.reading.events, ["pause", "resume"])
        self.pauser.pauseProducing()
        self.pauser.add(ANSWER_LIMIT)
        self.assertEqual(self.reading.events, ["pause", "resume"])

    def test_sentAnswers(self) -> None:
        """Answers that are sent do not count, however many they are."""
        for _ in range(3):
            self.pauser.add(ANSWER_LIMIT)
            self.pauser.resumeProducing()
        self.pauser.pauseProducing()
        self.assertEqual(self.reading.events, [])
