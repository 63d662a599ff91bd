from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.measurement import Measurement, startedBy
from echoproto.conformance.results import ConformanceResult
from echoproto.conformance.runner import ConformanceRunner
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.load.workers import LoadWorkerPool
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.plan import PingResult
from echoproto.measure.verify.streams import StreamVerifier
from echoproto.measure.verify.verifier import VerifyResult


def provided(
    pinger: Pinger,
    generator: LoadGenerator,
    pool: LoadWorkerPool,
    verifier: StreamVerifier,
    runner: ConformanceRunner,
) -> tuple[
    Measurement[PingResult],
    Measurement[LoadResult],
    Measurement[LoadResult],
    Measurement[VerifyResult],
    Measurement[ConformanceResult],
]:
    """Checked by mypy: each of them is a measurement, with its own result."""
    return pinger, generator, pool, verifier, runner


class Finished:
    """The smallest measurement."""

    target: object = "lab1"

    def __init__(self) -> None:
        self.result: Deferred[int] = succeed(7)

    isStarted = False

    def start(self) -> None:
        self.isStarted = True

    def stop(self) -> None: ...


class MeasurementTests(SynchronousTestCase):
    def test_structural(self) -> None:
        """A class with these attributes is a measurement; it need not inherit."""
        measurement: Measurement[int] = Finished()
        self.assertEqual(self.successResultOf(measurement.result), 7)
        five: Any = [object()] * 5
        self.assertEqual(list(provided(*five)), five)


class StartedByTests(SynchronousTestCase):
    def test_result(self) -> None:
        """The function takes the parameters of the preparation, and returns the result."""
        measurement = Finished()

        def prepare(target: str) -> Deferred[Finished]:
            measurement.target = target
            return succeed(measurement)

        self.assertEqual(self.successResultOf(startedBy(prepare)("lab2")), 7)
        self.assertEqual((measurement.target, measurement.isStarted), ("lab2", True))

    def test_failed(self) -> None:
        """If the preparation fails, or is cancelled, the result fails."""

        def prepare(result: Deferred[Finished]) -> Deferred[Finished]:
            return result

        measure = startedBy(prepare)
        self.failureResultOf(measure(fail(OSError())), OSError)
        preparing = measure(Deferred())
        preparing.cancel()
        self.failureResultOf(preparing, CancelledError)
