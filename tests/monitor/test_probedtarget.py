from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import DNSLookupError

from echoproto.client.targets.host import ResolvedHost
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.probedtarget import RETRY_DELAY, ProbedTarget
from tests.monitor.fakes import EchoTarget, ProberTestCase
from tests.monitor.test_settings import settingsOf


class ProbedTargetTests(ProberTestCase):
    def begin(self) -> ProbedTarget:
        self.counters = TargetCounters((1.0,))
        place = ProbedTarget(self.clock, settingsOf(), self.counters, self.now)
        place.refresh()
        return place

    def test_unknownName(self) -> None:
        """A name that is not found is looked up again after a while."""
        self.makings = [fail(DNSLookupError("no such host: lab1"))]
        place = self.begin()
        self.assertEqual(
            (place.reason, place.target), ("DNS lookup failed: no such host: lab1", None)
        )
        self.assertEqual(self.counters.failedLookups, 1)
        self.clock.advance(RETRY_DELAY / 2)
        place.refresh()
        self.assertIsNone(place.target)
        self.clock.advance(RETRY_DELAY / 2)
        place.refresh()
        self.assertEqual((place.reason, place.target), ("", self.target))

    def test_firstLookup(self) -> None:
        """During the first lookup there is no reason; a stop ends it, and counts no failure."""
        self.makings = [Deferred()]
        [making] = self.makings
        place = self.begin()
        place.refresh()
        self.assertEqual((place.reason, place.target), ("", None))
        place.stop()
        place.stop()
        self.assertTrue(making.called)
        self.assertEqual((place.reason, self.counters.failedLookups), ("", 0))

    def test_newAddress(self) -> None:
        """A name is looked up again when that is due; failures are counted."""
        answers: list[Deferred[Any]] = []

        def lookUp() -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        self.target = EchoTarget()
        self.target.host = ResolvedHost(["192.0.2.1"], self.clock, lookUp, 60.0)
        place = self.begin()
        for answer in (["192.0.2.2"], None):
            self.clock.advance(61)
            place.refresh()
            if answer is None:
                answers[-1].errback(DNSLookupError())
            else:
                answers[-1].callback(answer)
        place.refresh()
        self.assertEqual((self.counters.address, self.counters.failedLookups), ("192.0.2.2", 1))
