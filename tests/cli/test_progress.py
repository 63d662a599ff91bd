from __future__ import annotations

import os
from contextlib import redirect_stderr
from errno import EIO
from threading import active_count

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.progress import ProgressBar
from tests.cli.commandcase import Terminal


class ProgressBarTests(SynchronousTestCase):
    def test_bar(self) -> None:
        """It is drawn on demand, without a thread, and erased when it is hidden."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})
        threads = active_count()
        terminal = Terminal()
        with redirect_stderr(terminal):
            bar = ProgressBar("load")
            bar.hide()
            self.assertEqual(terminal.getvalue(), "")
            bar.show(0.5, "12 sent")
            bar.show(1.0, "24 sent")
            self.assertEqual(active_count(), threads)
            drawn = terminal.getvalue()
            self.assertLess(drawn.index("12 sent"), drawn.index("24 sent"))
            self.assertIn("load", drawn)
            bar.hide()
        self.assertTrue(terminal.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K"))

    def test_terminalIsGone(self) -> None:
        """A terminal that is gone ends nothing."""
        self.patch(os, "environ", {**os.environ, "TERM": "xterm"})

        class Gone(Terminal):
            def write(self, text: str) -> int:
                raise OSError(EIO, "Input/output error")

        with redirect_stderr(Gone()):
            bar = ProgressBar("load")
            bar.show(0.5, "12 sent")
            bar.hide()
