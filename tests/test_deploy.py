"""What systemd thinks of the unit files in ``deploy/systemd``."""

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

#: systemd 252 gives 1.2, out of 10 for a service that may do what root may.
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
        """systemd accepts each unit, and says nothing of any line."""
        self.assertEqual(
            [unit.name for unit in self.units], ["echoproto.service", "echoproto.socket"]
        )
        ran = self.analyze("verify", *map(str, self.units))
        # This machine's own units, which are read along, may be complained of.
        ours = [line for line in ran.stderr.splitlines() if "echoproto" in line]
        self.assertEqual((ours, ran.returncode), ([], 0), ran.stderr)

    def test_exposure(self) -> None:
        """The service can do little harm to the machine."""
        ran = self.analyze("security", "--offline=true", "--no-pager", str(self.units[0]))
        if "offline" in ran.stderr:
            raise SkipTest("this systemd-analyze judges running services only")
        found = re.search(r"exposure level for echoproto\.service: ([\d.]+) (\w+)", ran.stdout)
        assert found is not None, ran.stderr
        self.assertEqual(found[2], "OK")
        self.assertLessEqual(float(found[1]), MAXIMUM_EXPOSURE)
