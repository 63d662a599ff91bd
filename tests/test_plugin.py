"""The file in ``twisted/plugins/``, and what must not stand beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.server import options

ROOT = Path(__file__).resolve().parent.parent


class PluginTests(SynchronousTestCase):
    def test_found(self) -> None:
        """twistd finds one service named echoproto, and it makes ours."""
        [maker] = [p for p in getPlugins(IServiceMaker) if p.tapname == "echoproto"]
        self.assertIs(maker.options, options.Options)
        self.assertIs(maker.makeService, options.makeService)

    def test_lazy(self) -> None:
        """Finding it imports nothing of the package."""
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

    def test_noPackagesUnderTwisted(self) -> None:
        """The local twisted/ folder holds no __init__.py: it would hide Twisted, or the plugin."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])
