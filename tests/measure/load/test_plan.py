from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.serve import ServeOptions
from echoproto.measure.clientlimits import DROPPED_REMEDY
from echoproto.measure.intervals import Interval
from echoproto.measure.load.plan import (
    ECHOPROTO_DATAGRAM_RATE,
    MAX_START_LATENESS_NS,
    LoadPlan,
)
from echoproto.measure.load.schedule import fixed
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf, loadResult


class LoadPlanTests(SynchronousTestCase):
    def test_share(self) -> None:
        """The share that is done depends on time or count, whichever is further."""
        plan = LoadPlan(duration=100, count=10)
        found = [plan.share(*progress) for progress in ((20, 1), (20, 5), (300, 5))]
        self.assertEqual(found, [0.2, 0.5, 1.0])
        self.assertEqual(LoadPlan(duration=None).share(1, 1), 0)


class LoadResultTests(SynchronousTestCase):
    def test_figures(self) -> None:
        """Losses and replies per second follow from the counts."""
        result = loadResult()
        self.assertEqual((result.lost, result.rate), (1, 4.5))
        self.assertEqual(loadResult(duration=0).rate, 0)

    def test_times(self) -> None:
        """The times of an open loop are response times, those of a closed loop service times."""
        self.assertEqual(loadResult().times.count, 3)
        self.assertEqual(loadResult(response=histogramOf(1)).times.count, 1)

    def test_hints(self) -> None:
        """
        Lost datagrams have the server's usual rate as a probable reason if more were sent in a
        second, and not more were answered, few as they may be in a closed loop.
        """
        fast = Interval(at=0, sent=1045, received=0)
        slow = Interval(at=0, sent=150, received=0)
        limited = {"target": "udp://lab1", "sent": 9000, "received": 2000, "intervals": [fast]}
        for also in ({}, {"sent": 1045, "received": 1035}):
            [hint] = loadResult(**{**limited, **also}).hints
            self.assertIn("--datagram-rate 0", hint)
        for other in (
            {"target": "tcp://lab1"},
            {"received": 8500},
            {"received": 9000},
            {"intervals": [slow]},
            {"duration": 1000, "sent": ECHOPROTO_DATAGRAM_RATE, "received": 0},
        ):
            self.assertEqual(loadResult(**{**limited, **other}).hints, [])
        settings = ServeOptions()
        settings.parseOptions([])
        self.assertEqual(float(settings["datagram-rate"]), ECHOPROTO_DATAGRAM_RATE)

    def test_isComplete(self) -> None:
        """A load is complete if no message is missing, and no connection has failed or ended."""
        plan = LoadPlan(count=10)
        complete = {"received": 10, "plan": plan}
        self.assertTrue(loadResult(**complete).isComplete)
        for fault in ("connectFailures", "disconnects"):
            self.assertFalse(loadResult(**complete, **{fault: 1}).isComplete)
        self.assertFalse(loadResult().isComplete)
        self.assertFalse(loadResult(received=10, plan=LoadPlan(count=11)).isComplete)

    def test_busy(self) -> None:
        """A busy CPU is a limit, except in an open loop, which waits in a busy loop."""
        self.assertEqual(loadResult().limits, [])
        self.assertEqual(
            loadResult(busy=0.95).limits, ["the client's CPU was busy for 95% of the time"]
        )
        self.assertEqual(loadResult(busy=0.95, plan=LoadPlan(times=fixed(1))).limits, [])

    def test_workers(self) -> None:
        """With several workers, a limit names the worker."""
        shares = (loadResult(), loadResult(busy=0.95))
        self.assertEqual(
            loadResult(busy=1.45, workers=shares).limits,
            ["worker 2: the client's CPU was busy for 95% of the time"],
        )

    def test_failedWorkers(self) -> None:
        """A worker without a result is a limit; the others keep their numbers."""
        failed = {1: "worker 1 was killed", 3: "worker 3: refused"}
        shares = (loadResult(), loadResult(busy=0.95))
        self.assertEqual(
            loadResult(workers=shares, failedWorkers=failed).limits,
            ["worker 4: the client's CPU was busy for 95% of the time", *failed.values()],
        )

    def test_dropped(self) -> None:
        """Dropped replies are not lost; they are a limit of the client, as is a pause."""
        result = loadResult(dropped=1, heldUp=3 * SECOND)
        self.assertEqual(result.lost, 0)
        self.assertEqual(
            result.limits,
            [
                f"1 reply dropped {DROPPED_REMEDY}",
                "this process was held up for 3000 ms at a time",
            ],
        )

    def test_beganLate(self) -> None:
        """A load that began late by more than a timer may be is limited by the client."""
        self.assertEqual(loadResult(beganLate=MAX_START_LATENESS_NS).limits, [])
        self.assertEqual(loadResult(beganLate=3_200_400_000).limits, ["it began 3.2 s late"])

    def test_late(self) -> None:
        """Messages sent late are a limit of the client."""
        self.assertEqual(
            loadResult(late=histogramOf(3)).limits,
            ["1 % of the messages were sent 3.0 ms late or more"],
        )
        self.assertEqual(loadResult(late=histogramOf(1)).limits, [])
