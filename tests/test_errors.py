from __future__ import annotations

import re
import subprocess
import sys

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from echoproto import errors


class TreeTests(SynchronousTestCase):
    def test_diagram(self) -> None:
        """The module's docstring shows every exception of the module, under its parent."""
        shown: dict[str, str] = {}
        path: list[str] = []
        for line in (errors.__doc__ or "").splitlines():
            found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
            if found:
                depth = len(found[1]) // 4
                path[depth:] = [found[2]]
                shown[found[2]] = path[depth - 1] if depth else "Exception"
        actual = {
            name: value.__bases__[0].__name__
            for name, value in vars(errors).items()
            if isinstance(value, type) and value.__module__ == errors.__name__
        }
        self.assertEqual(shown, actual)

    def test_startupError(self) -> None:
        """An uncaught StartupError prints only its message and exits with status 1."""
        finished = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from {errors.__name__} import StartupError; raise StartupError('no')",
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.assertEqual((finished.returncode, finished.stderr), (1, "no\n"))
        error = errors.StartupError("no", isReported=True)
        self.assertEqual((str(error), error.code), ("no", 1))

    def test_cancelledError(self) -> None:
        """Code that traps CancelledError also traps a cancelled exchange."""
        self.assertIsInstance(errors.ExchangeCancelled("x"), CancelledError)


class WrongBytesTests(SynchronousTestCase):
    def test_message(self) -> None:
        """EchoMismatch has the offset, the sent and the received bytes, also in its message."""
        error = errors.EchoMismatch(3, b"abc", b"xbc")
        self.assertEqual((error.offset, error.sent, error.received), (3, b"abc", b"xbc"))
        self.assertEqual(str(error), "wrong byte at offset 3: sent b'abc', received b'xbc'")

    def test_excerpt(self) -> None:
        """Only the first 16 bytes of long data are kept."""
        error = errors.EchoMismatch(0, b"a" * 100, b"b" * 100)
        self.assertEqual((error.sent, error.received), (b"a" * 16, b"b" * 16))
        self.assertEqual(errors.UnexpectedReply(b"c" * 100).received, b"c" * 16)
