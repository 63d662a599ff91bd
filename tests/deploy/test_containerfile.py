"""The Containerfile, read by a linter."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.deploy.programs import outputOf, program
from tests.loopback.program import ROOT


class ContainerfileTests(SynchronousTestCase):
    def test_noFinding(self) -> None:
        """hadolint finds nothing in it."""
        self.assertEqual(outputOf(program("hadolint"), str(ROOT / "Containerfile")), "")
