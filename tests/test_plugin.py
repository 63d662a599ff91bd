"""The plugin in ``twisted/plugins/`` is found by twistd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.server.commandline import service

ROOT = Path(__file__).resolve().parent.parent


class PluginTests(SynchronousTestCase):
    def test_found(self) -> None:
        """twistd finds one plugin named echoproto, with the options and service of this package."""
        [maker] = [p for p in getPlugins(IServiceMaker) if p.tapname == "echoproto"]
        self.assertIs(maker.options, service.Options)
        self.assertIs(maker.makeService, service.makeService)

    def test_lazy(self) -> None:
        """Listing the plugins does not import the package."""
        program = (
            "import sys\nfrom twisted.plugin import getPlugins\n"
            "from twisted.application.service import IServiceMaker\n"
            "names = [p.tapname for p in getPlugins(IServiceMaker)]\n"
            "sys.exit('echoproto' not in names or 'echoproto' in sys.modules)"
        )
        parent = Path(echoproto.__file__).parent.parent
        finished = subprocess.run(
            [sys.executable, "-c", program], cwd=parent, timeout=300, check=False
        )
        self.assertEqual(finished.returncode, 0)

    def test_noPackageFiles(self) -> None:
        """The local twisted/ folder has no __init__.py, which would hide Twisted or the plugin."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])
