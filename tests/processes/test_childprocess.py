from __future__ import annotations

import signal
from errno import ENOENT
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.processes import childprocess
from echoproto.processes.childcommand import childCommand
from echoproto.processes.childprocess import ChildProcess, explainStartError
from tests.fakeprocesses import FakeProcess, FakeProcessReactor


class RecordingChild(ChildProcess):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[bytes] = []
        self.exits: list[tuple[str, bool]] = []

    def reportReceived(self, line: bytes) -> None:
        self.reports.append(line)

    def exited(self, how: str, isClean: bool) -> None:
        self.exits.append((how, isClean))


class ChildProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeProcessReactor()
        self.child, self.process = self.spawn()

    def spawn(self, **options: Any) -> tuple[RecordingChild, FakeProcess]:
        child = RecordingChild()
        reactor: Any = self.reactor
        child.spawn(reactor, "json", "dumps", **options)
        return child, self.reactor.spawned[-1]

    def test_spawn(self) -> None:
        """The child runs the module with pipes, inherited outputs and further descriptors."""
        _, process = self.spawn(descriptors={4: 40})
        self.assertEqual(process.command, childCommand("json", "dumps"))
        self.assertEqual(process.childFDs, {0: "w", 1: 1, 2: 2, 3: "r", 4: 40})

    def test_cannotSpawn(self) -> None:
        """A process that cannot be started raises ``OSError``; the common ones have a remedy."""
        self.reactor.failures = 1
        with self.assertRaises(OSError) as raised:
            self.spawn()
        self.assertEqual(
            explainStartError(raised.exception),
            "Too many open files; raise the limit of open files "
            "(ulimit -n, systemd's LimitNOFILE=)",
        )
        self.assertEqual(explainStartError(OSError(ENOENT, "No such file")), "No such file")

    def test_messages(self) -> None:
        """Messages are sent until the input is closed, and silently dropped afterwards."""
        self.child.send("one")
        self.child.send({"two": 2})
        self.child.closeInput()
        self.child.send("three")
        self.assertEqual(self.process.messages, ["one", {"two": 2}])
        self.assertTrue(self.process.inputClosed)

    def test_reports(self) -> None:
        """Reports are received line by line, however the data is split."""
        for data in (b"o", b"ne\ntwo\nth", b"ree\n"):
            self.child.childDataReceived(3, data)
        self.assertEqual(self.child.reports, [b"one", b"two", b"three"])

    def test_tooLong(self) -> None:
        """A line over the limit is dropped."""
        self.patch(childprocess, "MAX_REPORT_BYTES", 10)
        for data in (b"x" * 8, b"x" * 8, b"one\n"):
            self.child.childDataReceived(3, data)
        self.assertEqual(self.child.reports, [b"one"])

    def test_exited(self) -> None:
        """Status 0 is a clean exit; another status, or a signal, is not."""
        for end, exit_ in (
            ((0, None), ("exited with status 0", True)),
            ((3, None), ("exited with status 3", False)),
            ((None, 9), ("was killed by signal 9", False)),
        ):
            child, process = self.spawn()
            self.assertFalse(child.hasEnded)
            process.end(*end)
            self.assertEqual((child.hasEnded, child.exits), (True, [exit_]))

    def test_kill(self) -> None:
        """A signal is sent to a running process only."""
        self.child.signal(signal.SIGHUP)
        self.child.kill()
        self.process.hasEnded = True
        self.child.kill()
        self.assertEqual(self.process.signals, [signal.SIGHUP, signal.SIGKILL])

    def test_killAfter(self) -> None:
        """A process is killed after a delay unless it has ended."""
        self.child.killAfter(self.reactor, 2.0)
        other, otherProcess = self.spawn()
        other.killAfter(self.reactor, 2.0)
        self.reactor.advance(1.9)
        self.assertEqual(self.process.signals, [])
        otherProcess.end()
        self.reactor.advance(0.1)
        self.assertEqual((self.process.signals, otherProcess.signals), ([signal.SIGKILL], []))
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_killSooner(self) -> None:
        """Of two delays the last one counts."""
        self.child.killAfter(self.reactor, 5.0)
        self.child.killAfter(self.reactor, 2.0)
        self.reactor.advance(2.0)
        self.assertEqual(self.process.signals, [signal.SIGKILL])
        self.process.end(None, signal.SIGKILL)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """A subclass must override two methods."""
        child = ChildProcess()
        with self.assertRaises(NotImplementedError):
            child.reportReceived(b"")
        with self.assertRaises(NotImplementedError):
            child.exited("", isClean=True)
