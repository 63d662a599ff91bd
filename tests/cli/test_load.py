from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.measuring import run
from echoproto.echo import EchoFactory
from echoproto.measure import asking
from echoproto.measure.loading import Loading
from echoproto.server import foreground
from echoproto.testing import endpointTo
from tests.cli.lab import Lab

TARGET = "127.0.0.1:7"


class Flipping(Protocol):
    """An echo that changes the first byte of all that comes at once."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(bytes([data[0] ^ 1]) + data[1:])


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.serve(lambda lab: EchoFactory(lab))

    def serve(self, make: Callable[[Lab], Any]) -> None:
        """The server of the next run; time is that of the reactor."""
        self.lab = lab = Lab()
        self.patch(foreground, "installReactor", lambda name: lab)
        self.endpoint, self.pairs = endpointTo(make(lab))
        self.patch(TCP4ClientEndpoint, "connect", lambda _, factory: self.endpoint.connect(factory))
        self.lab.act = self.pump

        def loading(target: Any, reactor: Any, now: Any, spent: Any, *rest: Any) -> Loading:
            messages, plan = rest
            seconds = lambda: round(lab.seconds() * 1e9)
            return Loading(target, reactor, seconds, spent, messages, plan, spin=0)

        self.patch(asking, "Loading", loading)

    def pump(self, turn: int) -> None:
        for each in self.pairs:
            for _ in range(4):
                each.step()

    def load(self, *words: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run("load", words)
        for each in self.pairs:
            each.client.abortConnection()
            each.pump()
        return status, output.getvalue(), errors.getvalue()

    def test_closed(self) -> None:
        """So many messages over so many connections: status 0."""
        status, said, errors = self.load(
            "-c", "2", "-n", "10", "--window", "2", "-s", "1-100", TARGET
        )
        self.assertEqual((status, errors, len(self.pairs)), (0, "", 2))
        self.assertIn("10 sent, 10 received, 0 lost, 0 wrong", said)
        self.assertNotIn("response", said)

    def test_open(self) -> None:
        """A rate, of fixed and of random times; response and service times are told."""
        for arrivals in ("fixed", "poisson"):
            self.setUp()
            status, said, _ = self.load("-z", "1s", "-q", "50", "--arrivals", arrivals, TARGET)
            self.assertEqual(status, 0)
            self.assertIn("of 50.0 asked for", said)
            self.assertIn("\nresponse ", said)
            self.assertIn("\nservice ", said)

    def test_wrong(self) -> None:
        """Wrong bytes are status 3."""
        self.serve(lambda lab: Factory.forProtocol(Flipping))
        self.assertEqual(self.load("-n", "3", TARGET)[0], 3)

    def test_silent(self) -> None:
        """A server that does not answer is status 1, and what does not hold is told besides, with status 4."""
        self.serve(lambda lab: Factory.forProtocol(Protocol))
        status, said, _ = self.load("-n", "3", "-t", "50ms", "-o", "json", TARGET)
        self.assertEqual((status, json.loads(said)["lost"]), (1, 3))
        self.serve(lambda lab: Factory.forProtocol(Protocol))
        status, _, errors = self.load(
            "-n", "3", "-t", "50ms", "--assert", "loss==0", "--assert", "sent==3", TARGET
        )
        self.assertEqual((status, errors), (4, "echoproto load: loss==0: loss is 100.00%\n"))

    def test_interrupted(self) -> None:
        """Ctrl-C before any reply is status 130."""

        def stop(turn: int) -> None:
            for call, arguments, named in self.lab.triggers["before"]["shutdown"]:
                call(*arguments, **named)
            self.lab.stop()

        self.lab.act = stop
        self.assertEqual(self.load(TARGET)[0], 130)

    def test_cannot(self) -> None:
        """What cannot be asked is status 2, in one line."""
        for words, says in (
            (("lab1", "lab2"), "one TARGET is loaded at a time"),
            (("udp://127.0.0.1",), "needs a stream"),
        ):
            status, _, errors = self.load(*words)
            self.assertEqual((status, len(errors.splitlines())), (2, 1))
            self.assertIn(says, errors)
            self.setUp()
