from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.connections import CHECK_INTERVAL
from echoproto.protocols.lifecycle import LINGER_SILENCE
from echoproto.protocols.streamfactory import DRAIN_SILENCE
from echoproto.protocols.timeouts import Timeouts


class TimeoutsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """The defaults are the documented ones."""
        self.assertEqual(
            asdict(Timeouts()),
            {
                "idle": 600.0,
                "stall": 60.0,
                "linger": 30.0,
                "close": 900.0,
                "handshake": 10.0,
                "header": 5.0,
            },
        )

    def test_longerThanTwoChecks(self) -> None:
        """Every default is finite and longer than the check interval."""
        for name, seconds in asdict(Timeouts()).items():
            self.assertTrue(CHECK_INTERVAL < seconds < inf, name)

    def test_relations(self) -> None:
        """
        A PROXY header may take the 3 s that its specification requires; clients without one have
        less time than idle ones; stalled clients are aborted before slow ones.
        """
        timeouts = Timeouts()
        self.assertGreaterEqual(timeouts.header, 3.0)
        self.assertLess(timeouts.header, timeouts.idle)
        self.assertLess(timeouts.handshake, timeouts.idle)
        self.assertLess(timeouts.stall, timeouts.close)
        self.assertLess(timeouts.stall, timeouts.idle)
        self.assertLess(DRAIN_SILENCE, timeouts.header)
        self.assertLess(LINGER_SILENCE, timeouts.linger)

    def test_value(self) -> None:
        """Timeouts are immutable values: equal if all fields are equal."""
        self.assertEqual(Timeouts(idle=inf), Timeouts(idle=inf))
        self.assertNotEqual(Timeouts(idle=inf), Timeouts())
        with self.assertRaises(FrozenInstanceError):
            Timeouts().idle = 1.0  # type: ignore[misc]
