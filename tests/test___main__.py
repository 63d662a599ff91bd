from __future__ import annotations

import runpy
import signal
import sys
from contextlib import redirect_stderr
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase


class MainTests(SynchronousTestCase):
    def test_main(self) -> None:
        """``python -m echoproto`` runs the command; importing the module has no effect."""
        import echoproto.__main__

        # A command that has ended ignores them.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.patch(sys, "argv", ["echoproto", "nonsense"])
        with redirect_stderr(StringIO()) as errors, self.assertRaises(SystemExit) as caught:
            runpy.run_path(echoproto.__main__.__file__, run_name="__main__")
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("no such command", errors.getvalue())
