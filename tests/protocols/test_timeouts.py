from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.connections import CHECK_INTERVAL
from echoproto.protocols.stream import DRAIN_SILENCE, LINGER_SILENCE
from echoproto.protocols.timeouts import Timeouts


class DeadlinesTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """The defaults are those that the documentation names."""
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
        """Every default is finite, and longer than the interval between checks."""
        for name, seconds in asdict(Timeouts()).items():
            self.assertTrue(CHECK_INTERVAL < seconds < inf, name)

    def test_relations(self) -> None:
        """
        A PROXY header may take the 3 s that its specification asks for; unidentified clients have
        less time than others; a stalled client is detected before a slow one.
        """
        deadlines = Timeouts()
        self.assertGreaterEqual(deadlines.header, 3.0)
        self.assertLess(deadlines.header, deadlines.idle)
        self.assertLess(deadlines.handshake, deadlines.idle)
        self.assertLess(deadlines.stall, deadlines.close)
        self.assertLess(deadlines.stall, deadlines.idle)
        self.assertLess(DRAIN_SILENCE, deadlines.header)
        self.assertLess(LINGER_SILENCE, deadlines.linger)

    def test_value(self) -> None:
        """Timeouts are a value: equal where all are, and never changed."""
        self.assertEqual(Timeouts(idle=inf), Timeouts(idle=inf))
        self.assertNotEqual(Timeouts(idle=inf), Timeouts())
        with self.assertRaises(FrozenInstanceError):
            Timeouts().idle = 1.0  # type: ignore[misc]
