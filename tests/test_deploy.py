"""systemd accepts the unit files in ``deploy/systemd``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

UNITS = Path(__file__).parents[1] / "deploy" / "systemd"

#: systemd 252 rates the service 1.2 of 10, where 10 is an unrestricted root service.
MAXIMUM_EXPOSURE = 1.5


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        if which("systemd-analyze") is None:
            raise SkipTest("no systemd-analyze here")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.units = [Path(folder.name) / unit.name for unit in sorted(UNITS.iterdir())]
        for unit in self.units:
            text = (UNITS / unit.name).read_text()
            unit.write_text(text.replace("/opt/echoproto/bin/twistd", sys.executable))

    def analyze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
        )

    def test_accepted(self) -> None:
        """systemd accepts every unit without a warning."""
        self.assertEqual(
            [unit.name for unit in self.units], ["echoproto.service", "echoproto.socket"]
        )
        ran = self.analyze("verify", *map(str, self.units))
        # Warnings about other units of this machine are ignored.
        warnings = [line for line in ran.stderr.splitlines() if "echoproto" in line]
        self.assertEqual((warnings, ran.returncode), ([], 0), ran.stderr)

    def test_exposure(self) -> None:
        """systemd rates the exposure of the service as OK."""
        ran = self.analyze("security", "--offline=true", "--no-pager", str(self.units[0]))
        if "offline" in ran.stderr:
            raise SkipTest("this systemd-analyze judges running services only")
        found = re.search(r"exposure level for echoproto\.service: ([\d.]+) (\w+)", ran.stdout)
        assert found is not None, ran.stderr
        self.assertEqual(found[2], "OK")
        self.assertLessEqual(float(found[1]), MAXIMUM_EXPOSURE)
