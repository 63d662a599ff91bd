from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.errors import StartupError
from echoproto.processes.orphans import REAP_INTERVAL
from echoproto.server import application
from echoproto.server.application import EchoprotoService
from echoproto.server.certificates.certificatereader import CertificateReader
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import Layers
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.server.notifier import Notifier
from echoproto.status.state import IState
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.certificates import serverPEM
from tests.server.fakemachine import FakeMachine

PID = 1

#: Seconds after which a notification counts as missing: it bounds a hang.
PATIENCE = 300


class ProgramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.fake = FakeMachine()
        self.options: dict[str, Any] = {}
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.told.close)
        self.told.bind(f"{folder.name}/notify")
        self.told.settimeout(PATIENCE)
        self.environ = {"NOTIFY_SOCKET": f"{folder.name}/notify"}

    def program(self, environ: Mapping[str, str] | None = None) -> EchoprotoService:
        groups = [
            [Listener("echo", "tcp:7")],
            [Listener("status", "tcp:9100:interface=127.0.0.1")],
        ]
        notifier = Notifier(self.environ if environ is None else environ, PID)
        self.addCleanup(notifier.close)
        return EchoprotoService(
            self.reactor, Settings(groups, **self.options), self.fake.machine(), notifier
        )

    def started(self, environ: Mapping[str, str] | None = None) -> EchoprotoService:
        program = self.program(environ)
        program.privilegedStartService()
        program.startService()
        return program

    def message(self) -> str:
        return self.told.recv(1000).decode().splitlines()[0]

    def connect(self) -> tuple[RecordingProtocol, StreamPair]:
        client = RecordingProtocol()
        factory = self.fake.opened[0][1]
        return client, StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))

    def test_garbageCollection(self) -> None:
        """What exists at the start is no longer garbage collected, which would delay clients."""
        self.started()
        self.assertIn((gc.freeze, (), {}), self.reactor.whenRunningHooks)

    def test_startAndStop(self) -> None:
        """
        systemd is notified when the listeners are open and the reactor runs, and when a stop
        begins.
        """
        program = self.started()
        self.assertEqual(len(self.fake.opened), 2)
        self.reactor.run()
        self.assertEqual(self.message(), "READY=1")
        stopped = program.stopService()
        self.assertEqual(self.message(), "STOPPING=1")
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotStart(self) -> None:
        """A listener that cannot be opened is a failure to start."""
        self.fake.failing["tcp:7"] = OSError(98, "Address already in use")
        with self.assertRaises(StartupError):
            self.program().privilegedStartService()

    def test_identity(self) -> None:
        """The user changes when the listeners are open; if it may not, they are closed at once."""
        program = self.program()
        identity = mock.Mock(gid=7, isCurrent=False)
        identity.assume.side_effect = lambda: self.assertEqual(len(self.fake.opened), 2)
        with mock.patch.object(program.listeners, "checkAccess") as check:
            program._identity = identity
            program.privilegedStartService()
        check.assert_called_once_with()
        identity.assume.side_effect = StartupError("no")
        refused = self.program()
        refused._identity = identity
        self.assertRaises(StartupError, refused.privilegedStartService)
        self.assertEqual(
            [port.closed for port, _ in self.fake.opened], [""] * 2 + ["abandoned"] * 2
        )

    def test_keysOfTheFirstUser(self) -> None:
        """
        Certificates are read again by a process that is started before the user changes, and that
        ends with the server.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(serverPEM())
        files = TLSFiles(path, path)
        reader = mock.Mock()
        identity = mock.Mock(gid=7, isCurrent=False)

        def startReader(readable: Sequence[TLSFiles]) -> CertificateReader:
            self.assertEqual(list(readable), [files])
            identity.assume.assert_not_called()
            return cast(CertificateReader, reader)

        program = EchoprotoService(
            self.reactor,
            Settings([[Listener("echo", "tcp:7", layers=Layers(tls=files))]]),
            self.fake.machine(),
            Notifier({}, PID),
            identity=identity,
            startReader=startReader,
        )
        program.privilegedStartService()
        program.startService()
        renewed = replace(files, contents={path: serverPEM() + b"# renewed"})
        reader.read.return_value = renewed
        self.fake.signals[signal.SIGHUP]()
        [loaded] = program.listeners.certificates.loaded()
        self.assertEqual(loaded.contents, renewed.contents)
        reader.stop.assert_not_called()
        self.successResultOf(program.stopService())
        reader.stop.assert_called_once_with()

    def test_noReader(self) -> None:
        """If that process cannot be started, the server does not start, and says why."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(serverPEM())
        program = EchoprotoService(
            self.reactor,
            Settings([[Listener("echo", "tcp:7", layers=Layers(tls=TLSFiles(path, path)))]]),
            self.fake.machine(),
            Notifier({}, PID),
            identity=mock.Mock(gid=7, isCurrent=False),
            startReader=mock.Mock(side_effect=StartupError("no process")),
        )
        error = self.assertRaises(StartupError, program.privilegedStartService)
        self.assertEqual(str(error), "no process")
        self.assertEqual([port.closed for port, _ in self.fake.opened], ["abandoned"])

    def test_signals(self) -> None:
        """A stop during the start is postponed, and rotation signals are ignored."""
        program = self.started()
        self.assertEqual(self.fake.calls, ["postponeStop", "ignoreRotation"])
        program.stopService()

    def test_withoutSystemd(self) -> None:
        """Without a notification socket no notification is sent."""
        program = self.started({})
        self.reactor.run()
        self.successResultOf(program.stopService())

    def test_ownNotifier(self) -> None:
        """By default the program notifies the systemd that started it, if any."""
        program = EchoprotoService(self.reactor, Settings([parseListener("echo", "7")]))
        self.assertIsInstance(program._notifier, Notifier)
        program._notifier.close()

    def test_watchdog(self) -> None:
        """The watchdog of systemd is kept alive until the end of the drain."""
        program = self.started({**self.environ, "WATCHDOG_USEC": "2000000"})
        self.assertEqual(self.message(), "WATCHDOG=1")
        client, pair = self.connect()
        stopped = program.stopService()
        self.assertEqual(self.message(), "STOPPING=1")
        self.reactor.pump([0.25] * 4)
        self.assertEqual(self.message(), "WATCHDOG=1")
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_secondSignal(self) -> None:
        """A second signal ends the drain."""
        program = self.started()
        self.assertEqual(set(self.fake.signals), {signal.SIGHUP})
        client, pair = self.connect()
        stopped = program.stopService()
        self.assertNoResult(stopped)
        self.assertIn(signal.SIGINT, self.fake.signals)
        self.fake.signals[signal.SIGTERM]()
        self.reactor.advance(0.1)
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(client.events[-1], "lost")
        # The process may go on, and its signals are its own again.
        self.assertEqual(set(self.fake.signals), {signal.SIGHUP})

    def test_secondSignalAtOnce(self) -> None:
        """So does one that comes before the reactor, which the first has stopped, begins to."""
        program = self.started()
        client, pair = self.connect()
        self.fake.onFurtherStop()
        stopped = program.stopService()
        self.reactor.advance(0)
        self.reactor.advance(0.1)
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(client.events[-1], "lost")

    def test_lameDuck(self) -> None:
        """In the lame-duck time new clients are served, and the server is not ready; then it
        drains."""
        self.options = {"lameDuck": 3.0}
        program = self.started()
        stopped = program.stopService()
        self.assertEqual(self.message(), "STOPPING=1")
        self.assertEqual((program.ready(), program.notReadyReason()), (False, "stopping"))
        self.assertIn(b"echoproto_draining 0.0", program.metrics())
        client, pair = self.connect()
        client.link.write(b"hello")
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.reactor.advance(2.9)
        self.assertEqual(self.fake.opened[0][0].closed, "")
        self.reactor.advance(0.1)
        self.assertEqual(
            (self.fake.opened[0][0].closed, program.notReadyReason()), ("stopped", "draining")
        )
        client.link.loseConnection()
        pair.pump()
        self.successResultOf(stopped)

    def test_signalInLameDuck(self) -> None:
        """A second signal in the lame-duck time begins the drain, and a third one ends it."""
        self.options = {"lameDuck": 3.0}
        program = self.started()
        stopped = program.stopService()
        client, pair = self.connect()
        self.fake.signals[signal.SIGTERM]()
        self.assertEqual(program.notReadyReason(), "draining")
        pair.pump()
        self.assertNotIn("lost", client.events)
        self.fake.signals[signal.SIGINT]()
        self.reactor.advance(0.1)
        pair.pump()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_statusLinger(self) -> None:
        """After the drain the status listener stays open for a time, or until a further signal."""
        self.options = {"statusLinger": 15.0}
        for end in (lambda: self.reactor.advance(15), lambda: self.fake.signals[signal.SIGTERM]()):
            program = self.started()
            stopped = program.stopService()
            status = self.fake.opened[-1][0]
            self.assertNoResult(stopped)
            self.assertEqual((status.closed, program.notReadyReason()), ("", "draining"))
            end()
            self.successResultOf(stopped)
            self.assertEqual(status.closed, "stopped")

    def test_noStatusToLinger(self) -> None:
        """Without a status listener the stop does not wait for a scrape."""
        settings = Settings([[Listener("echo", "tcp:7")]], statusLinger=15.0)
        program = EchoprotoService(self.reactor, settings, self.fake.machine(), Notifier({}, 0))
        program.startService()
        self.successResultOf(program.stopService())

    def test_totals(self) -> None:
        """The totals of stream listeners are logged once, at the end; not those of a worker."""
        log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)
        program = self.started()
        client, pair = self.connect()
        program.stopService()
        program.stopService()
        client.link.loseConnection()
        pair.pump()
        lines = [formatEvent(event) for event in log if event.get("event") == "closed"]
        self.assertEqual(len(lines), 1)
        settings = Settings([[Listener("echo", "tcp:7")]])
        machine, notifier = self.fake.machine(), Notifier({}, 0)
        worker = EchoprotoService(self.reactor, settings, machine, notifier, announce=False)
        worker.startService()
        count = len(log)
        self.successResultOf(worker.stopService())
        self.assertEqual(len(log), count)
        self.assertIn(
            "echo on tcp :0 closed: 1 connections; ended: 1 unused; refused: none;", lines[0]
        )

    def test_orphans(self) -> None:
        """Only as process 1 it looks for orphans."""
        for number, expected in ((1, 2), (2, 0)):
            with mock.patch.object(application, "reapOrphans") as reap:
                self.fake.number = number
                program = self.started()
                self.reactor.advance(REAP_INTERVAL)
                self.successResultOf(program.stopService())
            self.assertEqual(reap.call_count, expected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reload(self) -> None:
        """SIGHUP reads the certificates again and notifies systemd."""
        program = self.started()
        self.fake.signals[signal.SIGHUP]()
        self.assertEqual([self.message(), self.message()], ["RELOADING=1", "READY=1"])
        program.stopService()

    def test_noReloadInADrain(self) -> None:
        """During a stop readiness is not reported, whatever the signal."""
        program = self.started()
        _, pair = self.connect()
        stopped = program.stopService()
        self.assertEqual(self.message(), "STOPPING=1")
        self.fake.signals[signal.SIGHUP]()
        pair.client.loseConnection()
        pair.pump()
        self.successResultOf(stopped)
        self.told.setblocking(False)
        self.assertRaises(BlockingIOError, self.message)

    def test_stopTwice(self) -> None:
        """A second stop during the drain ends with it; the signals are restored once."""
        program = self.started()
        _, pair = self.connect()
        stops = [program.stopService(), program.stopService()]
        pair.client.loseConnection()
        pair.pump()
        for stop in stops:
            self.successResultOf(stop)
        self.assertEqual(set(self.fake.signals), {signal.SIGHUP})

    def test_reports(self) -> None:
        """The totals are logged at each interval."""
        log = EventLoggingObserver()
        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        program = self.started()
        factory = self.fake.opened[0][1]
        factory.observer.connectionRefused(CLIENT_ADDRESS, "too many connections")
        self.assertEqual(len(log), 0)
        self.reactor.advance(REPORT_INTERVAL)
        [event] = log
        self.assertIn("refused 1 connection", formatEvent(event))
        program.stopService()

    def test_state(self) -> None:
        """The status listener shows readiness and the metrics."""
        program = self.program()
        verifyObject(IState, program)
        self.assertEqual((program.ready(), program.notReadyReason()), (False, "starting"))
        program.startService()
        self.assertTrue(program.ready())
        self.assertIn(b'echoproto_connections_open{listener="tcp :0"', program.metrics())
        program.stopService()
        self.assertEqual((program.ready(), program.notReadyReason()), (False, "draining"))
