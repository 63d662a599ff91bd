from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, cast
from unittest import mock

import click
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import paramtypes, serve
from echoproto.cli.serve import ServeOptions, serveCommand
from echoproto.errors import StartupError
from echoproto.processes.resources import Limit
from echoproto.server.application import EchoprotoService
from echoproto.server.privileges import Identity, identityOf
from echoproto.server.workers import supervisor


def parsed(*arguments: str) -> ServeOptions:
    options: Any = ServeOptions()
    options.parseOptions(list(arguments))
    return cast(ServeOptions, options)


class ServeOptionsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """The default is one process, and the user who started it."""
        options = parsed()
        self.assertEqual((options.workers, options.identity), (1, Identity()))

    def test_workers(self) -> None:
        """Workers are a number, or one per processor that the process may use."""
        self.assertEqual(parsed("--workers", "4").workers, 4)
        self.assertEqual(parsed("--workers", "auto").workers, len(os.sched_getaffinity(0)))

    def test_identity(self) -> None:
        """User and group are names or numbers."""
        self.assertEqual(parsed("--uid", "root", "--gid", "7").identity, identityOf(0, 7))

    def test_wrong(self) -> None:
        """An invalid value is one line with the option."""
        for wrong, why in (
            (("--workers", "0"), "--workers: invalid number of workers '0' (1 to 1024, or auto)"),
            (("--workers", "many"), "--workers: invalid number of workers 'many'"),
            (("--uid", "no such one"), "--uid: no such user: 'no such one' (a name, or"),
            (("--gid", "no such one"), "--gid: no such group: 'no such one' (a name, or"),
            (("--log-format", "xml"), "--log-format: invalid format 'xml' (text or json)"),
            (("--port", "x"), "--port"),
        ):
            with self.assertRaises(StartupError) as caught:
                parsed(*wrong)
            self.assertIn(why, str(caught.exception))

    def test_help(self) -> None:
        """The help has the options of twistd echoproto, those of serve, and examples of serve."""
        usage = ServeOptions().getUsage()
        for text in ("--port", "--workers", "LISTENER is", "echoproto serve --port 7 --uid nobody"):
            self.assertIn(text, usage)
        self.assertNotIn("twistd -n", usage)


class RunTests(SynchronousTestCase):
    def ran(self, *arguments: str) -> Any:
        """The service that the options run."""
        with (
            mock.patch.object(serve, "installReactor", return_value=mock.Mock()),
            mock.patch.object(serve, "startLog"),
            mock.patch.object(serve, "runForeground", return_value=0) as run,
            mock.patch.object(serve, "resetSignals") as reset,
            mock.patch.object(serve, "ignoreRotation") as ignore,
        ):
            self.assertEqual(parsed(*arguments).run(), 0)
        reset.assert_called_once_with()
        ignore.assert_called_once_with()
        return run.call_args[0][1]

    def test_one(self) -> None:
        """Without workers the process itself serves."""
        service = self.ran("--uid", "0")
        self.assertEqual((type(service), service._identity.uid), (EchoprotoService, 0))

    def test_readsKeys(self) -> None:
        """With another user and TLS a supervisor runs even for one worker: it can read the keys
        again."""
        with mock.patch.object(supervisor, "Supervisor") as make:
            service = self.ran("-u", "0", "--tls-cert", "x.pem")
        self.assertEqual(service, make.return_value)
        self.assertEqual(make.call_args[0][2], 1)
        self.assertIsInstance(self.ran("--tls-cert", "x.pem"), EchoprotoService)

    def test_workers(self) -> None:
        """With workers a supervisor runs, which keeps its user; the workers do not."""
        with mock.patch.object(supervisor, "Supervisor") as make:
            service = self.ran("-u", "0", "--workers", "3", "--log-format", "json")
        self.assertEqual(service, make.return_value)
        _, settings, count, workerConfig = make.call_args[0]
        config = workerConfig(settings)
        self.assertEqual((count, config.settings), (3, settings))
        self.assertEqual((config.identity.uid, config.logFormat), (0, "json"))

    def test_auto(self) -> None:
        """The number of workers by default is logged with what has decided it."""
        log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)
        self.patch(paramtypes, "processors", lambda: 1)
        self.patch(serve, "processorLimit", lambda: Limit(1, "cpu.max"))
        self.ran("--workers", "auto")
        self.assertEqual([formatEvent(e) for e in log], ["--workers auto is 1: cpu.max is 1"])


class ImportTests(SynchronousTestCase):
    def imported(self, *arguments: str) -> set[str]:
        """The modules that a server with these options has imported when it listens."""
        script = (
            "import sys; from echoproto.cli import main, serve; "
            "serve.runForeground = lambda reactor, service: "
            "(service.privilegedStartService(), print(*sys.modules)) and 0; "
            "sys.exit(main.main())"
        )
        ran = subprocess.run(
            [sys.executable, "-c", script, "serve", *arguments],
            capture_output=True,
            timeout=300,
            check=True,
        )
        return set(ran.stdout.decode().splitlines()[-1].split())

    def test_plain(self) -> None:
        """
        A plain start imports neither TLS, PROXY, a web server, workers, faults nor Twisted's
        plugins.
        """
        streams = self.imported("--port", "tcp:0")
        self.assertNotIn("echoproto.transports.udp", streams)
        imported = streams | self.imported("--port", "0")
        for name in (
            "twisted.web",
            "twisted.trial",
            "twisted.internet.endpoints",
            "twisted.application.internet",
            "prometheus_client",
            "rich",
            "echoproto.transports.tls",
            "echoproto.transports.proxyheader",
            "echoproto.transports.proxyprotocol",
            "echoproto.server.certificates.servercontext",
            "echoproto.server.listeners.adoption",
            "echoproto.protocols.echoplus",
            "echoproto.protocols.faults.faultplan",
            "echoproto.protocols.faults.faulty",
            "echoproto.server.config.faults",
            "echoproto.server.workers.supervisor",
            "echoproto.status.site",
            "echoproto.server.monitoring.metrics",
            "echoproto.client.stream",
            "echoproto.client.targets.endpoints",
            "echoproto.measure",
            "echoproto.cli.targetlist",
            "echoproto.transports.crc32c",
            "encodings.idna",
        ):
            self.assertNotIn(name, imported)

    def test_used(self) -> None:
        """What is used is imported."""
        imported = self.imported("--port", "tcp:0:proxy=any", "--status", "0")
        self.assertIn("echoproto.transports.proxyprotocol", imported)
        self.assertIn("echoproto.status.site", imported)


class ServeCommandTests(SynchronousTestCase):
    def test_words(self) -> None:
        """All words are passed on, and the status is that of the server."""
        self.patch(ServeOptions, "run", lambda options: int(options["workers"]))
        status = serveCommand.main(["--workers", "3", "-p", "7"], standalone_mode=False)
        self.assertEqual(status, 3)

    def test_invalid(self) -> None:
        """An invalid option is a usage error of click."""
        with self.assertRaisesRegex(click.UsageError, "option --nonsense not recognized"):
            serveCommand.main(["--nonsense"], standalone_mode=False)

    def test_completion(self) -> None:
        """Long options are completed, with or without a value, each with its help."""
        found = {item.value: item.help for item in self.completed("--")}
        self.assertLessEqual({"--no-echo", "--port", "--workers", "--help"}, set(found))
        self.assertTrue(found["--workers"])
        self.assertEqual([item.value for item in self.completed("--uid")], ["--uid"])

    def completed(self, incomplete: str) -> Any:
        return serveCommand.shell_complete(click.Context(serveCommand), incomplete)
