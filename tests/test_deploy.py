"""systemd accepts the units in ``deploy/systemd``, logrotate the file in ``deploy/logrotate``."""

from __future__ import annotations

import os
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
        for file in [path for path in UNITS.glob("**/*") if path.is_file()]:
            copy = Path(folder.name) / file.relative_to(UNITS)
            copy.parent.mkdir(exist_ok=True)
            command = "/opt/echoproto/bin/(twistd|echoproto)"
            copy.write_text(re.sub(command, sys.executable, file.read_text()))
        self.units = sorted(path for path in Path(folder.name).iterdir() if path.is_file())

    def analyze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
        )

    def test_accepted(self) -> None:
        """systemd accepts every unit, with its drop-ins, without a warning."""
        self.assertEqual(
            [unit.name for unit in self.units],
            ["echoproto-monitor.service", "echoproto.service", "echoproto.socket"],
        )
        ran = self.analyze("verify", *map(str, self.units))
        # Warnings about other units of this machine are ignored.
        warnings = [line for line in ran.stderr.splitlines() if "echoproto" in line]
        self.assertEqual((warnings, ran.returncode), ([], 0), ran.stderr)

    def test_documented(self) -> None:
        """The page for operators recommends the command of the unit, and the drop-in extends it."""
        [command] = re.findall(
            "^ExecStart=.+$", (UNITS / "echoproto.service").read_text(), re.MULTILINE
        )
        self.assertIn(f"`{command}`", (UNITS.parents[1] / "docs" / "operation.md").read_text())
        self.assertIn(command, (UNITS / "echoproto.service.d" / "tls.conf").read_text())

    def test_exposure(self) -> None:
        """systemd rates the exposure of each service as OK."""
        for unit in self.units[:2]:
            ran = self.analyze("security", "--offline=true", "--no-pager", str(unit))
            if "offline" in ran.stderr:
                raise SkipTest("this systemd-analyze judges running services only")
            found = re.search(rf"exposure level for {unit.name}: ([\d.]+) (\w+)", ran.stdout)
            assert found is not None, ran.stderr
            self.assertEqual(found[2], "OK")
            self.assertLessEqual(float(found[1]), MAXIMUM_EXPOSURE)

    def test_rotation(self) -> None:
        """The log is copied and emptied, and the server goes on in the same file."""
        program = which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise SkipTest("no logrotate here")
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        log = Path(folder.name) / "echoproto.log"
        rules = Path(folder.name) / "rules"
        text = (UNITS.parent / "logrotate" / "echoproto").read_text()
        rules.write_text(text.replace("/var/log/echoproto.log", str(log)))
        rules.chmod(0o644)
        with log.open("a") as server:
            print("before", file=server, flush=True)
            state = str(Path(folder.name) / "state")
            command = [program, "--force", "--state", state, str(rules)]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual((ran.returncode, ran.stderr), (0, ""))
            print("after", file=server, flush=True)
        self.assertEqual(log.read_text(), "after\n")
        self.assertEqual((Path(folder.name) / "echoproto.log.1").read_text(), "before\n")
