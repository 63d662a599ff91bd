from __future__ import annotations

import gc
import sys
from typing import Any
from unittest import mock

from twisted.application import reactors
from twisted.internet.base import ReactorBase
from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.reactors import direct, install
from echoproto.reactors import install as module
from echoproto.reactors.install import installClientReactor, installReactor


class InstallReactorTests(SynchronousTestCase):
    def installed(self, name: str | None, platform: str) -> Any:
        """Return the name of the installed reactor."""
        self.patch(sys, "platform", platform)
        with (
            mock.patch.object(module, "_installNamed", side_effect=list) as installNamed,
            mock.patch.object(direct, "install") as installDirect,
        ):
            installReactor(name)
        return "direct" if installDirect.called else installNamed.call_args[0][0]

    def test_default(self) -> None:
        """The default is the direct reactor on Linux and Twisted's default elsewhere."""
        self.assertEqual(self.installed(None, "linux"), "direct")
        self.assertEqual(self.installed(None, "darwin"), "default")
        self.assertEqual(self.installed("poll", "linux"), "poll")

    def test_monotonic(self) -> None:
        """Timed calls of the reactor do not depend on the wall clock."""
        reactor = SelectReactor()
        self.addCleanup(reactor.removeAll)
        with mock.patch.object(reactors, "installReactor", return_value=reactor):
            self.assertIs(installReactor("select"), reactor)
        self.patch(ReactorBase, "seconds", staticmethod(lambda: 0.0))
        self.assertGreater(reactor.seconds(), 0.0)

    def test_unknown(self) -> None:
        """An unknown reactor name is a one-line error."""
        with self.assertRaisesRegex(StartupError, "--reactor 'fast': unknown reactor"):
            installReactor("fast")

    def test_unavailable(self) -> None:
        """A reactor that is not usable here is a one-line error."""
        foreign = ImportError("no KQ_EV_ADD")
        foreign.__context__ = AttributeError()
        for error, reason in (
            (ImportError("no gi"), "no gi"),
            (foreign, "it is for another system"),
        ):
            with (
                mock.patch.object(reactors, "installReactor", side_effect=error),
                self.assertRaisesRegex(StartupError, f"cannot be used: {reason}; omit --reactor,"),
            ):
                installReactor("gi")

    def test_client(self) -> None:
        """
        A client's process ends even if a name is still looked up, and once it runs it never
        collects what it has imported.
        """
        reactor = mock.Mock()
        self.patch(install, "installReactor", lambda name: reactor)
        self.assertIs(installClientReactor(), reactor)
        reactor.installNameResolver.assert_called_once()
        reactor.callWhenRunning.assert_called_once_with(gc.freeze)
