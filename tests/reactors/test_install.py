from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.reactors import install as module
from echoproto.reactors.install import installReactor


class ReactorTests(SynchronousTestCase):
    def asked(self, name: str | None, platform: str) -> Any:
        """The name of the reactor that is installed."""
        self.patch(sys, "platform", platform)
        with mock.patch.object(module, "installNamed") as installNamed:
            installReactor(name)
        return installNamed.call_args[0][0]

    def test_default(self) -> None:
        """It is the direct one on Linux, Twisted's choice elsewhere, or what was asked for."""
        self.assertEqual(self.asked(None, "linux"), "direct")
        self.assertEqual(self.asked(None, "darwin"), "default")
        self.assertEqual(self.asked("poll", "linux"), "poll")

    def test_unknown(self) -> None:
        """A name that nobody knows is an error of one line."""
        with self.assertRaisesRegex(StartupError, "--reactor 'fast': there is none"):
            installReactor("fast")

    def test_unusable(self) -> None:
        """So is one that cannot be used here."""
        with (
            mock.patch.object(module, "installNamed", side_effect=ImportError("no gi")),
            self.assertRaisesRegex(StartupError, "cannot be used: no gi"),
        ):
            installReactor("gi")
