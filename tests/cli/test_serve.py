from __future__ import annotations

import os
from typing import Any, cast
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import serve
from echoproto.cli.serve import ServeOptions
from echoproto.errors import StartupError
from echoproto.server.application import EchoprotoService
from echoproto.server.runner import Foreground
from echoproto.server.workers.supervisor import Supervisor


def parsed(*arguments: str) -> ServeOptions:
    options: Any = ServeOptions()
    options.parseOptions(list(arguments))
    return cast(ServeOptions, options)


class ServeOptionsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """One process, and the user who started it."""
        options = parsed()
        self.assertEqual((options.workers, options.foreground), (1, Foreground()))

    def test_workers(self) -> None:
        """Workers are a number, or as many as processors that we may use."""
        self.assertEqual(parsed("--workers", "4").workers, 4)
        self.assertEqual(parsed("-w", "auto").workers, len(os.sched_getaffinity(0)))

    def test_identity(self) -> None:
        """User and group are names or numbers."""
        self.assertEqual(parsed("--uid", "root", "--gid", "7").foreground, Foreground(0, 7))

    def test_wrong(self) -> None:
        """What cannot be is said in one line, with the option."""
        for wrong, why in (
            (("--workers", "0"), "--workers '0': a number from 1 to 1024, or auto"),
            (("--workers", "many"), "--workers 'many'"),
            (("--uid", "no such one"), "--uid 'no such one': there is no such user"),
            (("--gid", "no such one"), "--gid 'no such one': there is no such group"),
            (("--log-format", "xml"), "--log-format 'xml': text or json"),
            (("--port", "x"), "--port"),
        ):
            with self.assertRaises(StartupError) as caught:
                parsed(*wrong)
            self.assertIn(why, str(caught.exception))

    def test_help(self) -> None:
        """The help has the options of twistd's, its own, and its own examples."""
        text = ServeOptions().getUsage()
        for each in ("--port", "--workers", "LISTENER is", "echoproto serve --port 7 --uid nobody"):
            self.assertIn(each, text)
        self.assertNotIn("twistd -n", text)


class RunTests(SynchronousTestCase):
    def ran(self, *arguments: str) -> tuple[Foreground, Any]:
        """Who ran what."""
        with (
            mock.patch.object(serve, "installReactor", return_value=mock.Mock()),
            mock.patch.object(serve, "startLog"),
            mock.patch.object(Foreground, "run", autospec=True, return_value=0) as run,
        ):
            self.assertEqual(parsed(*arguments).run(), 0)
        foreground, _, service = run.call_args[0]
        return foreground, service

    def test_one(self) -> None:
        """Without workers the program runs in the process itself."""
        foreground, service = self.ran("--uid", "0")
        self.assertEqual((foreground, type(service)), (Foreground(0), EchoprotoService))

    def test_workers(self) -> None:
        """With workers a supervisor runs, which stays who it is; the workers do not."""
        foreground, service = self.ran("--uid", "0", "--workers", "3", "--log-format", "json")
        self.assertEqual((foreground, type(service)), (Foreground(), Supervisor))
        orders = service._ordersFor(service._settings)
        self.assertEqual((orders.foreground, orders.logFormat), (Foreground(0), "json"))
