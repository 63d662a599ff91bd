from __future__ import annotations

import pkgutil
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.protocols.echo import EchoFactory


class PackageTests(SynchronousTestCase):
    def test_exports(self) -> None:
        """All names in ``__all__`` exist, in alphabetical order."""
        self.assertEqual(sorted(echoproto.__all__), echoproto.__all__)
        self.assertEqual([name for name in echoproto.__all__ if not hasattr(echoproto, name)], [])

    def test_lazy(self) -> None:
        """A name is imported on first use; an unknown name is an AttributeError."""
        self.assertEqual(sorted(echoproto._HOMES), echoproto.__all__)
        self.assertLessEqual(set(echoproto.__all__), set(dir(echoproto)))
        self.assertIs(echoproto.__getattr__("EchoFactory"), EchoFactory)
        with self.assertRaisesRegex(AttributeError, "has no attribute 'nonsense'"):
            echoproto.__getattr__("nonsense")

    def test_installsNoReactor(self) -> None:
        """Importing the package and all of its modules installs no reactor."""
        names = [m.name for m in pkgutil.walk_packages(echoproto.__path__, "echoproto.")]
        self.assertIn("echoproto.server.commandline.service", names)
        program = (
            f"import importlib, sys\nfor name in {['echoproto', *names]!r}:\n"
            "    importlib.import_module(name)\n"
            "sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        finished = subprocess.run([sys.executable, "-c", program], timeout=300, check=False)
        self.assertEqual(finished.returncode, 0)
