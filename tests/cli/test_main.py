from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto import __version__
from echoproto.cli import measuring
from echoproto.cli.main import main
from echoproto.cli.serve import ServeOptions


class CommandTests(SynchronousTestCase):
    def ended(self, *arguments: str) -> tuple[Any, str]:
        """How the command ends, and what it prints."""
        printed = io.StringIO()
        with redirect_stdout(printed), self.assertRaises(SystemExit) as caught:
            main(arguments)
        return caught.exception.code, printed.getvalue()

    def test_serve(self) -> None:
        """A subcommand's exit status is the command's; its words may come from the process."""
        self.patch(ServeOptions, "run", lambda options: 3 if options["workers"] == "2" else 0)
        self.assertEqual(self.ended("serve", "--workers", "2"), (3, ""))
        self.patch(sys, "argv", ["echoproto", "serve"])
        with self.assertRaises(SystemExit) as caught:
            main()
        self.assertEqual(caught.exception.code, 0)

    def test_nothing(self) -> None:
        """Without a subcommand the help is an error, status 2."""
        with redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(self.ended(), (2, ""))
        for each in ("serve", "ping"):
            self.assertIn(f"\n    {each} ", errors.getvalue())

    def test_closed(self) -> None:
        """A closed standard output or error is no fault: nobody reads."""
        self.patch(ServeOptions, "run", lambda options: print("said") or 0)
        for name in ("stdout", "stderr"):
            with mock.patch.object(sys, name, None), self.assertRaises(SystemExit) as caught:
                try:
                    main(["serve"])
                finally:
                    getattr(sys, name).close()
            self.assertEqual(caught.exception.code, 0)

    def test_interrupted(self) -> None:
        """Ctrl-C before there is a reactor is status 130, without a traceback."""

        def interrupted(options: Any) -> int:
            raise KeyboardInterrupt

        self.patch(ServeOptions, "run", interrupted)
        self.assertEqual(self.ended("serve"), (130, ""))

    def test_measuring(self) -> None:
        """A measuring command is read by click, whose words are not looked at before."""
        code, printed = self.ended("ping", "--help")
        self.assertEqual(code, 0)
        self.assertTrue(printed.startswith("Usage: echoproto ping [OPTIONS] TARGET..."))

    def test_complete(self) -> None:
        """Where the shell asks for completion, that is answered, and nothing run."""
        asked: list[str] = []
        self.patch(measuring, "complete", lambda: asked.append("asked"))
        with mock.patch.dict(os.environ, {measuring.COMPLETE: "bash_complete"}):
            self.ended("--version")
        self.assertEqual(asked, ["asked"])

    def test_extraMissing(self) -> None:
        """Without the libraries of measuring the remedy is told; serving goes without them."""
        with mock.patch.dict(sys.modules, {"click": None}):
            for each in [each for each in sys.modules if each.startswith("echoproto.cli.")]:
                del sys.modules[each]
            with redirect_stderr(io.StringIO()) as errors:
                code, _ = self.ended("ping", "lab1")
        self.assertEqual(code, 2)
        self.assertEqual(
            errors.getvalue(), "echoproto: ping needs click; pip install 'echoproto[measure]'\n"
        )

    def test_synopsis(self) -> None:
        """The help says how the command is called, and how a subcommand is."""
        for arguments, says in (((), "COMMAND [options]\n"), (("serve",), "serve [options]\n")):
            code, printed = self.ended(*arguments, "--help")
            self.assertEqual(code, 0)
            self.assertTrue(printed.startswith(f"Usage: echoproto {says}"), printed)

    def test_nobodyReads(self) -> None:
        """Help of which somebody has read enough ends like any other, and no traceback follows."""
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w", encoding="utf-8") as printed:
            self.patch(sys, "stdout", printed)
            with self.assertRaises(SystemExit) as caught:
                main(["--help"])
        self.assertEqual(caught.exception.code, 0)

    def test_wrong(self) -> None:
        """What cannot be understood is one line with the remedy, and status 2."""
        for words, says in (
            (("nonsense",), "Unknown command: nonsense; see echoproto --help"),
            (
                ("serve", "--nonsense"),
                "option --nonsense not recognized; see echoproto serve --help",
            ),
        ):
            with redirect_stderr(io.StringIO()) as errors:
                self.assertEqual(self.ended(*words), (2, ""))
            self.assertEqual(errors.getvalue(), f"echoproto: {says}\n")

    def test_version(self) -> None:
        """The version is ours and Twisted's."""
        code, printed = self.ended("--version")
        self.assertEqual(code, 0)
        self.assertTrue(printed.startswith(f"echoproto {__version__} (Twisted "))
