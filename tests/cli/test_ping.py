from __future__ import annotations

import io
import json
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.measuring import run
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.reactors import install as foreground
from echoproto.targets import endpoints as finding
from tests.cli.lab import Lab, Unwritten
from tests.targets.names import Names

#: A server that is there, and one that is not.
THERE, NOWHERE = "udp://127.0.0.1:7", "udp://127.0.0.1:9"


class Flipping(DatagramProtocol):
    """An echo that changes the last byte."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        transport: Any = self.transport
        transport.write(datagram[:-1] + bytes([datagram[-1] ^ 1]), addr)


@dataclass
class Ended:
    """How a command ended."""

    status: int
    output: str
    errors: str
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.output.splitlines()


class PingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = Lab()
        self.lab.listenUDP(7, EchoDatagramProtocol(self.lab))
        self.signals: dict[int, Any] = {}
        self.patch(foreground, "installReactor", lambda name: self.lab)
        self.patch(signal, "signal", self.signals.__setitem__)

    def ping(self, *words: str, output: io.StringIO | None = None) -> Ended:
        output = output if output is not None else io.StringIO()
        errors = io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = run("ping", words)
        self.assertEqual([each for each in self.lab.ports if each[1] > 8], [])
        return Ended(status, output.getvalue(), errors.getvalue())

    def test_replies(self) -> None:
        """A line for each reply, the summary, and status 0."""
        ended = self.ping("-c", "2", "-i", "20ms", THERE)
        self.assertEqual((ended.status, ended.errors), (0, ""))
        self.assertEqual(ended.lines[0], f"ECHO {THERE}, 64 bytes")
        self.assertRegex(ended.lines[2], rf"^64 bytes from {THERE}: seq=2 time=[0-9.]+ ms$")
        self.assertIn("2 sent, 2 received, 0 lost (0.00 %)", ended.output)

    def test_noReply(self) -> None:
        """Without any reply the status is 1; with a deadline also where some are missing."""
        ended = self.ping("-c", "1", "-W", "50ms", NOWHERE)
        self.assertEqual(ended.status, 1)
        self.assertIn("lost: refused", ended.output)
        self.setUp()
        self.lab.act = lambda turn: self.lab.lose() if turn == 1 else None
        self.assertEqual(self.ping("-c", "2", "-i", "10ms", "-w", "1s", THERE).status, 1)
        self.setUp()
        self.lab.act = lambda turn: self.lab.lose() if turn == 1 else None
        self.assertEqual(self.ping("-c", "2", "-i", "10ms", THERE).status, 0)

    def test_severalTargets(self) -> None:
        """Several targets are asked at once; the status is that of the worst."""
        ended = self.ping("-c", "1", "-W", "50ms", THERE, NOWHERE)
        self.assertEqual(ended.status, 1)
        self.assertEqual(ended.output.count("echo statistics"), 2)
        self.setUp()
        both = self.ping("-q", "-c", "1", "-W", "50ms", NOWHERE, THERE).output
        self.assertLess(both.index(f"--- {NOWHERE}"), both.index(f"--- {THERE}"))

    def test_wrongBytes(self) -> None:
        """Wrong bytes are status 3, and told with their place."""
        port = self.lab.listenUDP(8, Flipping())
        ended = self.ping("-c", "1", "-s", "30", "udp://127.0.0.1:8")
        port.stopListening()
        self.assertEqual(ended.status, 3)
        self.assertIn("corrupt: at byte 29", ended.output)

    def test_assertions(self) -> None:
        """What does not hold is told, and status 4."""
        ended = self.ping("-c", "1", "--assert", "received==1", "--assert", "p99<1ns", THERE)
        self.assertEqual(ended.status, 4)
        self.assertRegex(ended.errors, rf"^echoproto ping: {THERE}: p99<1ns: p99 is [0-9.]+ms\n$")

    def test_interrupted(self) -> None:
        """Ctrl-C ends with the summary: status 0, or 130 where nothing was measured."""
        self.lab.act = lambda turn: self.signals[signal.SIGINT]() if turn == 9 else None
        ended = self.ping("-i", "20ms", THERE)
        self.assertEqual(ended.status, 0)
        self.assertRegex(ended.output, r"(\d) sent, \1 received")
        self.setUp()

        def stop(turn: int) -> None:
            self.lab.pending.clear()
            self.signals[signal.SIGTERM]()

        self.lab.act = stop
        self.assertEqual(self.ping(THERE).status, 130)

    def test_interruptedEarly(self) -> None:
        """Ctrl-C while a name is looked up ends it, and nothing is said; another is the kernel's to obey."""
        self.patch(finding, "resolve", lambda *_: Deferred())
        self.lab.act = lambda turn: self.signals[signal.SIGINT]() if turn == 1 else None
        ended = self.ping("udp://lab1")
        self.assertEqual(self.signals[signal.SIGINT], signal.SIG_DFL)
        self.assertEqual((ended.status, ended.output, ended.errors), (130, "", ""))

    def test_sofar(self) -> None:
        """Ctrl-\\ prints the figures so far."""
        self.lab.act = lambda turn: self.signals[signal.SIGQUIT]() if turn == 9 else None
        ended = self.ping("-c", "10", "-i", "20ms", THERE)
        self.assertRegex(ended.errors, r"(\d)/\1 received, 0.00 % lost, min/avg/max = ")

    def test_noSuchHost(self) -> None:
        """A target that cannot be found is told once, with status 2; the others are asked."""
        self.lab.nameResolver = Names()
        ended = self.ping("-c", "1", "udp://lab1:7", THERE)
        self.assertEqual(ended.status, 2)
        self.assertIn("udp://lab1:7: DNS lookup failed: no such host: lab1", ended.errors)
        self.assertIn("1 received", ended.output)

    def test_numeric(self) -> None:
        """Targets are called by their addresses where that is asked for."""
        self.lab.nameResolver = Names("127.0.0.1")
        ended = self.ping("-c", "1", "-n", "udp://lab1:7")
        self.assertIn(f"bytes from {THERE}: ", ended.output)

    def test_options(self) -> None:
        """Size, pattern, timestamps and quiet do what they say."""
        ended = self.ping("-c", "1", "-s", "21", "-p", "7f", "-D", "-A", "-4", THERE)
        self.assertRegex(ended.lines[1], r"^\[\d+\.\d{6}\] 21 bytes from ")
        self.setUp()
        self.assertEqual(len(self.ping("-c", "3", "-i", "10ms", "-q", THERE).lines), 7)
        self.setUp()
        ended = self.ping("-c", "1", "-s", "2", THERE)
        self.assertIn("holds only the last digits", ended.errors)

    def test_forms(self) -> None:
        """The form is of choice, and so is where it is written."""
        self.assertEqual(json.loads(self.ping("-c", "1", "-o", "json", THERE).output)["version"], 1)
        self.setUp()
        path = Path(self.mktemp())
        ended = self.ping("-c", "1", "-o", "ndjson", "--out", str(path), THERE)
        self.assertEqual(ended.output, "")
        self.assertEqual(len(path.read_text().splitlines()), 2)

    def test_nobodyReads(self) -> None:
        """Where nobody reads what is written it ends."""
        self.assertEqual(self.ping("-c", "100", THERE, output=Unwritten()).status, 0)
        self.assertLess(self.lab.turns, 5)

    def test_full(self) -> None:
        """Where nothing more can be written it ends, and tells why."""
        ended = self.ping("-c", "100", "--out", "/dev/full", THERE)
        self.assertEqual(ended.status, 2)
        self.assertEqual(
            ended.errors,
            "echoproto ping: cannot write: No space left on device; the rest is lost\n",
        )

    def test_wrong(self) -> None:
        """What cannot be understood is one line, and nothing is asked."""
        for words, says in (
            ((), "Give a TARGET or --endpoint"),
            (("--out", "/nowhere/x", THERE), "--out /nowhere/x: No such file or directory"),
            (("-I", "lab1", THERE), "no numeric address"),
            (("--endpoint", "nonsense:7"), "nonsense:7: --endpoint takes no such description"),
        ):
            ended = self.ping(*words)
            self.assertEqual(ended.status, 2)
            self.assertIn(says, ended.errors)
            self.assertEqual(len(ended.errors.splitlines()), 1)
            self.setUp()

    def test_help(self) -> None:
        """The help has every option's group, and examples."""
        ended = self.ping("--help")
        for each in ("\nProbes:\n", "\nThe way:\n", "\nWhat is shown:\n", "\n  Examples:\n", "130"):
            self.assertIn(each, ended.output)
        self.assertLessEqual(max(map(len, ended.lines)), 100)
