from __future__ import annotations

import runpy
import sys

from twisted.trial.unittest import SynchronousTestCase


class MainTests(SynchronousTestCase):
    def test_main(self) -> None:
        """``python -m echoproto`` is the command; importing it is nothing."""
        import echoproto.__main__

        self.patch(sys, "argv", ["echoproto", "nonsense"])
        with self.assertRaisesRegex(SystemExit, "Unknown command"):
            runpy.run_path(echoproto.__main__.__file__, run_name="__main__")
