from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.load import LoadOptions, loadCommand
from echoproto.cli.sessions import load as loadsession
from echoproto.cli.sessions.load import LoadSession, loadPlan
from echoproto.measure import api
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.messages import LoadReport
from echoproto.processes.resources import Limit
from echoproto.protocols.echo import EchoFactory
from echoproto.text.units import SECOND
from tests.cli.commandcase import CommandTestCase, RunningReactor, Terminal
from tests.fakeprocesses import FakeProcess
from tests.report.sampleresults import histogramOf, loadResult

TARGET = "127.0.0.1:7"


class Flipping(Protocol):
    """An echo that changes the first byte of each read."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(bytes([data[0] ^ 1]) + data[1:])


class LoadTests(CommandTestCase):
    command = "load"

    # A load sends again at once, which has no end.
    stepsPerTurn = 4

    def setUp(self) -> None:
        super().setUp()
        self.serve(EchoFactory)

    def serve(self, makeFactory: Callable[[RunningReactor], Any]) -> None:
        super().serve(makeFactory)
        reactor = self.reactor
        made: Any = partial(LoadGenerator, spin=0)

        def loading(target: Any, reactor_: Any, now: Any, *rest: Any) -> Any:
            return made(target, reactor_, lambda: round(reactor.seconds() * 1e9), *rest)

        self.patch(api, "LoadGenerator", loading)

    def test_descriptors(self) -> None:
        """More connections than file descriptors are refused at once, with the remedy."""
        self.patch(loadsession, "raiseDescriptorLimit", lambda: None)
        self.patch(loadsession, "descriptorLimit", lambda: Limit(132, "RLIMIT_NOFILE"))
        status, _, errors = self.load("--connections", "101", "-c", "1", TARGET)
        self.assertEqual(status, 2)
        self.assertIn("as RLIMIT_NOFILE is 132; use fewer", errors)

    def load(self, *words: str, errors: io.StringIO | None = None) -> tuple[int, str, str]:
        ended = self.ended(*words, errors=errors)
        return ended.status, ended.output, ended.errors

    def test_closed(self) -> None:
        """A number of messages over a number of connections is status 0."""
        status, output, errors = self.load(
            "--connections", "2", "-c", "10", "--window", "2", "-s", "1-100", TARGET
        )
        self.assertEqual((status, errors, len(self.pairs)), (0, "", 2))
        self.assertIn("10 sent, 10 received, 0 lost, 0 wrong", output)
        self.assertNotIn("response", output)

    def test_open(self) -> None:
        """With --rate, fixed or random, response and service times are shown."""
        for arrivals in ("fixed", "poisson"):
            self.serve(EchoFactory)
            status, output, _ = self.load(
                "-z", "1s", "--rate", "50", "--arrivals", arrivals, TARGET
            )
            self.assertEqual(status, 0)
            self.assertIn("(target 50.0)", output)
            self.assertIn("\nresponse ", output)
            self.assertIn("\nservice ", output)

    def test_seconds(self) -> None:
        """NDJSON has a line for each second, then one for the whole load."""
        status, output, _ = self.load("-z", "1500ms", "-o", "ndjson", TARGET)
        found = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([line["type"] for line in found], ["interval", "interval", "summary"])
        self.assertEqual(sum(line["sent"] for line in found[:-1]), found[-1]["sent"])
        self.assertEqual(status, 0)

    def shared(self, *statuses: int) -> tuple[int, dict[str, Any], str, list[Any]]:
        """A load of two workers with these exit statuses; also returns their assignments."""
        self.serve(EchoFactory)
        spawned: list[FakeProcess] = []

        def spawn(protocol: Any, executable: str, args: Any, *, env: Any, childFDs: Any) -> None:
            spawned.append(FakeProcess(protocol, list(args), childFDs))

        def finish(turn: int) -> None:
            for process, status in zip(spawned if turn == 2 else (), statuses, strict=False):
                counts = IntervalCounts()
                counts.sent = 5
                counts.service.merge(histogramOf(*range(5)))
                for report in (LoadReport(counts=counts), LoadReport(result=loadResult()))[
                    : 2 * (not status)
                ]:
                    process.report(report.encode())
                process.end(status)

        made: Any = self.reactor
        made.spawnProcess = spawn
        self.reactor.act = finish
        words = (
            "--workers",
            "2",
            "--connections",
            "3",
            "--rate",
            "10",
            "-c",
            "10",
            "-o",
            "json",
            TARGET,
        )
        status, output, errors = self.load(*words)
        return (
            status,
            json.loads(output),
            errors,
            [process.messages[0] for process in spawned],
        )

    def test_workers(self) -> None:
        """Workers have their shares of the load, and their results are added up."""
        status, document, errors, orders = self.shared(0, 0)
        self.assertEqual((status, document["sent"], errors), (0, 10, ""))
        self.assertEqual([order.plan.connections for order in orders], [2, 1])
        shares = [(order.index, order.plan.part, order.plan.rate) for order in orders]
        self.assertEqual(shares, [(0, (0, 2), 5), (1, (1, 2), 5)])

    def test_workerDies(self) -> None:
        """A worker that dies is reported, and is status 2."""
        status, document, errors, _ = self.shared(0, 1)
        self.assertEqual((status, document["sent"]), (2, 5))
        failure = "worker 2 exited with status 1; the rest of its share is missing"
        self.assertEqual(errors, f"echoproto load: {failure}\n")

    def test_progress(self) -> None:
        """On a terminal the progress is shown, and erased at the end."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        status, output, errors = self.load("-z", "1s", TARGET, errors=Terminal())
        self.assertRegex(errors, r"\d+ sent, \d+ received, 0 wrong")
        self.assertEqual((status, output.count("sent")), (0, 1))

    def test_ramp(self) -> None:
        """Rising rates end with the first that is not held; the highest that was is reported."""
        words = ("--rate", "50..200", "--step", "1s", "-z", "3s")
        status, output, _ = self.load(*words, "--assert", "p99<1s", TARGET)
        self.assertEqual((status, output.splitlines()[-1]), (0, "highest rate that held: 200.0/s"))
        self.serve(EchoFactory)
        status, output, errors = self.load(*words, "--assert", "p99<1us", "-o", "json", TARGET)
        self.assertEqual((status, errors), (4, "echoproto load: no rate was held\n"))
        [step] = json.loads(output)["steps"]
        self.assertEqual(len(step["failures"]), 1)

    def test_every(self) -> None:
        """The figures of every second, or of several, are shown on the standard error."""
        _, output, errors = self.load("-z", "3s", "--every", "2s", "-o", "json", TARGET)
        self.assertRegex(errors, r"^echoproto load: 2 s: \d+\.\d exchanges/s, p50 .* ms\n$")
        self.assertGreater(json.loads(output)["sent"], 0)
        self.serve(EchoFactory)
        self.assertEqual(self.load("-z", "3s", "--every", "1s", "-q", TARGET)[2], "")

    def test_histogram(self) -> None:
        """A histogram of all times is below the summary."""
        _, output, _ = self.load("-c", "10", "--histogram", TARGET)
        self.assertRegex(output.splitlines()[-1], r"^<= .* ms .* 10 100.00%  #{40}$")

    def test_wrong(self) -> None:
        """Wrong bytes are status 3."""
        self.serve(lambda reactor: Factory.forProtocol(Flipping))
        self.assertEqual(self.load("-c", "3", TARGET)[0], 3)

    def test_silent(self) -> None:
        """A silent server is status 1; a failed assertion is reported, with status 4."""
        self.serve(lambda reactor: Factory.forProtocol(Protocol))
        status, output, _ = self.load("-c", "3", "-W", "50ms", "-o", "json", TARGET)
        self.assertEqual((status, json.loads(output)["lost"]), (1, 3))
        self.serve(lambda reactor: Factory.forProtocol(Protocol))
        status, _, errors = self.load(
            "-c", "3", "-W", "50ms", "--assert", "loss==0", "--assert", "sent==3", TARGET
        )
        self.assertEqual((status, errors), (4, "echoproto load: loss==0: loss is 100.00%\n"))

    def test_interrupted(self) -> None:
        """Ctrl-C before any reply is status 130."""

        def stop(turn: int) -> None:
            self.reactor.interrupt()

        self.reactor.act = stop
        self.assertEqual(self.load(TARGET)[0], 130)

    def test_csv(self) -> None:
        """CSV has a row for each second."""
        _, output, _ = self.load("-z", "1500ms", "-o", "csv", TARGET)
        rows = list(csv.DictReader(output.splitlines()))
        self.assertEqual([row["at_ns"] for row in rows], ["0", "1000000000"])

    def test_refused(self) -> None:
        """Invalid words are one line, and status 2."""
        for words, message in (
            (("lab1", "lab2"), "too many targets"),
            (("-z", "0", TARGET), "--duration: duration '0' would send nothing"),
            (("-W", "0", TARGET), "--timeout: timeout '0' is too short"),
            (("-z", "1s", "--warmup", "1s", TARGET), "--warmup must be shorter than --duration"),
            (("-s", "0.1", TARGET), "--size: invalid size"),
            (("--rate", "1e-305", TARGET), "--rate: invalid rate"),
            (("--window", "10000000", TARGET), "from 1 to 65536"),
            (("--arrivals", "fixed", TARGET), "--arrivals needs --rate"),
            (("--rate", "5", "--window", "2", TARGET), "--window cannot be used with --rate"),
            (("-s", "1-64", "udp://127.0.0.1"), "-s 8 or more"),
        ):
            self.assertRefused(message, *words)


class PlanTests(SynchronousTestCase):
    def test_share(self) -> None:
        """A share of a load has its part of everything, and the common time."""
        words = "--connections 10 -c 100 --rate 9 --share 1/3 --start-at +1s --addresses first"
        context = loadCommand.make_context("load", [*words.split(), TARGET])
        plan = loadPlan(LoadOptions(**context.params))
        self.assertEqual((plan.connections, plan.count, plan.rate, plan.part), (3, 33, 3, (1, 3)))
        assert plan.beginAt is not None
        self.assertLess(abs(plan.beginAt - time.monotonic_ns()), 2 * SECOND)
        self.assertFalse(plan.allAddresses)
        self.assertEqual(plan.firstConnection, 4)


class StatusTests(SynchronousTestCase):
    def test_tooFew(self) -> None:
        """Fewer messages than planned are status 1, unless the load was interrupted."""
        plan = replace(loadResult().plan, count=100)
        result = replace(loadResult(), plan=plan, received=loadResult().sent, wrong=0)
        session: Any = None  # The status needs none.
        status = partial(LoadSession.status, session, result, hasFailed=False)
        self.assertEqual((status(interrupted=False), status(interrupted=True)), (1, 0))

    def test_connections(self) -> None:
        """Failed and lost connections are status 1, even if the load was interrupted."""
        session: Any = None  # The status needs none.
        for fault in ("connectFailures", "disconnects"):
            result = loadResult(received=10, **{fault: 1})
            for interrupted in (False, True):
                status = LoadSession.status(session, result, interrupted, hasFailed=False)
                self.assertEqual(status, 1)
