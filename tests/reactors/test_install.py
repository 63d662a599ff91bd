from __future__ import annotations

import sys
import time
from typing import Any
from unittest import mock

from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.reactors import install as module
from echoproto.reactors.install import installReactor


class InstallReactorTests(SynchronousTestCase):
    def installed(self, name: str | None, platform: str) -> Any:
        """The name of the reactor that is installed."""
        self.patch(sys, "platform", platform)
        with mock.patch.object(module, "installNamed") as installNamed:
            installReactor(name)
        return installNamed.call_args[0][0]

    def test_default(self) -> None:
        """
        The default is the direct reactor on Linux and Twisted's choice elsewhere; a name is used.
        """
        self.assertEqual(self.installed(None, "linux"), "direct")
        self.assertEqual(self.installed(None, "darwin"), "default")
        self.assertEqual(self.installed("poll", "linux"), "poll")

    def test_monotonic(self) -> None:
        """Timed calls of the reactor do not depend on the wall clock."""
        reactor = SelectReactor()
        self.addCleanup(reactor.removeAll)
        with mock.patch.object(module, "installNamed", return_value=reactor):
            self.assertIs(installReactor("select"), reactor)
        with mock.patch("time.monotonic", return_value=time.monotonic() + 1000.0):
            later = reactor.seconds()
        self.assertGreater(later - reactor.seconds(), 900.0)

    def test_unknown(self) -> None:
        """An unknown name is an error of one line."""
        with self.assertRaisesRegex(StartupError, "--reactor 'fast': unknown reactor"):
            installReactor("fast")

    def test_unusable(self) -> None:
        """A reactor that cannot be used here is an error of one line."""
        with (
            mock.patch.object(module, "installNamed", side_effect=ImportError("no gi")),
            self.assertRaisesRegex(StartupError, "cannot be used: no gi"),
        ):
            installReactor("gi")
