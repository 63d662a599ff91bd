from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import lazyimport
from echoproto.cli.lazyimport import deferImport, deferUnused


class DeferTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(sys, "modules", dict(sys.modules))
        self.imported = ModuleType("deferred")
        self.imported.value = 7  # type: ignore[attr-defined]
        self.load = mock.Mock(return_value=self.imported)
        self.patch(lazyimport, "import_module", self.load)
        deferImport("deferred")
        self.stub = sys.modules["deferred"]

    def test_unused(self) -> None:
        """A module is not loaded when it is imported, nor for what Python looks up itself."""
        self.assertFalse(hasattr(self.stub, "__path__"))
        self.load.assert_not_called()

    def test_used(self) -> None:
        """It is loaded when an attribute is used, by whoever has imported it before."""
        for _ in range(2):
            self.assertEqual(self.stub.value, 7)
        self.load.assert_called_with("deferred")
        self.assertNotIn("deferred", sys.modules)
        with self.assertRaises(AttributeError):
            _ = self.stub.other

    def test_importedBefore(self) -> None:
        """A module that is imported already stays."""
        deferImport("sys")
        self.assertIs(sys.modules["sys"], sys)

    def test_missing(self) -> None:
        """Twisted's TLS is deferred only where it can be imported."""
        for spec, isDeferred in ((None, False), (mock.Mock(), True)):
            self.patch(sys, "modules", {})
            self.patch(lazyimport, "find_spec", mock.Mock(return_value=spec))
            deferUnused()
            self.assertEqual("twisted.internet.ssl" in sys.modules, isDeferred)
            self.assertIn("http.cookiejar", sys.modules)

    def test_unchanged(self) -> None:
        """A reactor can do the same as without, and a deferred module can be imported."""
        program = (
            "import sys; from echoproto.cli.lazyimport import deferUnused\n"
            "{0}\n"
            "from twisted.internet import posixbase\n"
            "print(*posixbase.PosixReactorBase.__implemented__)\n"
            "from http.cookiejar import CookieJar; print(CookieJar.__module__)\n"
            "if posixbase.ssl is not None:\n"
            "    from twisted.internet.ssl import CertificateOptions\n"
        )
        outputs = [
            subprocess.check_output([sys.executable, "-c", program.format(call)], timeout=300)
            for call in ("", "deferUnused()")
        ]
        self.assertEqual(outputs[0], outputs[1])
