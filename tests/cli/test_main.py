from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto import __version__
from echoproto.cli import greet
from echoproto.cli.main import (
    COMMANDS,
    COMPLETE_VARIABLE,
    echoprotoCommand,
    importCommand,
    main,
    run,
)
from echoproto.cli.serve import ServeOptions
from echoproto.errors import StartupError
from tests.cli.commandcase import DISK_FULL


class OptimizedTests(SynchronousTestCase):
    def test_description(self) -> None:
        """Without docstrings (python -OO) a command has its short description."""
        self.patch(greet.greetCommand, "help", None)
        self.assertEqual(importCommand("greet").help, COMMANDS["greet"])

    def test_help(self) -> None:
        """The help of the server and the list of checks need no docstrings."""
        program = (
            "from echoproto.cli.serve import ServeOptions; "
            "from echoproto.conformance.suite import CHECKS; "
            "print(ServeOptions().getUsage(80), *(check.description for check in CHECKS))"
        )
        plain, optimized = (
            subprocess.run(
                [sys.executable, *options, "-c", program],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for options in ([], ["-OO"])
        )
        self.assertEqual(optimized, plain)
        self.assertIn("Listen for echo clients", optimized)


class MainTests(SynchronousTestCase):
    def ended(self, *words: str) -> tuple[Any, str, str]:
        """The exit status, the output and the errors of the process."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            redirect_stdout(output),
            redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            main(words)
        return caught.exception.code, output.getvalue(), errors.getvalue()

    def test_words(self) -> None:
        """The status of a subcommand is that of the process; so are its words by default."""
        self.patch(ServeOptions, "run", lambda options: 3 if options["workers"] == "2" else 0)
        self.assertEqual(self.ended("serve", "--workers", "2"), (3, "", ""))
        self.patch(sys, "argv", ["echoproto", "serve"])
        with self.assertRaises(SystemExit) as caught:
            main()
        self.assertEqual(caught.exception.code, 0)

    def test_closedStream(self) -> None:
        """A closed standard output or error is no error."""
        self.patch(ServeOptions, "run", lambda options: print("text") or 0)
        for name in ("stdout", "stderr"):
            with mock.patch.object(sys, name, None), self.assertRaises(SystemExit) as caught:
                try:
                    main(["serve"])
                finally:
                    getattr(sys, name).close()
            self.assertEqual(caught.exception.code, 0)

    def test_interrupted(self) -> None:
        """An interruption before the reactor runs is left to the caller."""

        def interrupt(options: Any) -> int:
            raise KeyboardInterrupt

        self.patch(ServeOptions, "run", interrupt)
        self.assertRaises(KeyboardInterrupt, main, ["serve"])

    def test_brokenPipe(self) -> None:
        """Help whose reader is gone is status 0, without a traceback."""
        for words in (["--help"], ["greet", "--help"]):
            reading, writing = os.pipe()
            os.close(reading)
            with open(writing, "w", encoding="utf-8") as output:
                self.patch(sys, "stdout", output)
                with self.assertRaises(SystemExit) as caught:
                    main(words)
            self.assertEqual(caught.exception.code, 0)

    def test_diskFull(self) -> None:
        """Output that cannot be written is one line and status 2."""
        for words in (["--help"], ["--version"], ["greet", "--help"], ["conformance", "--list"]):
            errors = io.StringIO()
            with open("/dev/full", "w", encoding="utf-8") as output, redirect_stderr(errors):
                self.patch(sys, "stdout", output)
                with self.assertRaises(SystemExit) as caught:
                    main(words)
            self.assertEqual(caught.exception.code, 2)
            self.assertIn(DISK_FULL, errors.getvalue())
            self.assertEqual(errors.getvalue().count("\n"), 1)

    def test_diskFullAtTheEnd(self) -> None:
        """So is output that is still buffered when the command has ended."""
        errors = io.StringIO()
        self.patch(ServeOptions, "run", lambda options: print("reply") or 0)
        with open("/dev/full", "w", encoding="utf-8") as output, redirect_stderr(errors):
            self.patch(sys, "stdout", output)
            with self.assertRaises(SystemExit) as caught:
                main(["serve"])
        self.assertEqual(caught.exception.code, 2)
        self.assertEqual(errors.getvalue(), f"echoproto: {DISK_FULL}\n")

    def test_otherErrors(self) -> None:
        """Other errors of the kernel are faults of ours, and are raised."""
        self.patch(ServeOptions, "run", mock.Mock(side_effect=OSError(5000, "odd")))
        self.assertRaises(OSError, run, ["serve"])

    def test_version(self) -> None:
        """The version is that of echoproto, and that of Twisted."""
        code, output, _ = self.ended("--version")
        self.assertEqual(code, 0)
        self.assertTrue(output.startswith(f"echoproto {__version__} (Twisted "))


class RunTests(SynchronousTestCase):
    def run_(self, *words: str) -> tuple[int, str, str]:
        """The exit status, the output and the errors of the command."""
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                status = run(words)
            except SystemExit as ended:
                # As twisted.usage ends after its help.
                status = int(ended.code or 0)
        return status, output.getvalue(), errors.getvalue()

    def test_help(self) -> None:
        """The help lists every subcommand; so does the error if there is none."""
        status, output, _ = self.run_("--help")
        self.assertEqual(status, 0)
        for name, text in COMMANDS.items():
            self.assertRegex(output, rf"\n  {name} +{text}\n")
        self.assertEqual(self.run_(), (2, "", output))

    def test_everyHelp(self) -> None:
        """The help of every subcommand has examples and exit statuses, in 80 columns."""
        for name in COMMANDS:
            status, output, _ = self.run_(name, "--help")
            self.assertEqual(status, 0)
            self.assertTrue(output.startswith(f"Usage: echoproto {name} ["), output)
            for text in ("Examples:", f"echoproto {name}", "Exit status: 0 "):
                self.assertIn(text, output)
            self.assertEqual([line for line in output.splitlines() if len(line) > 80], [])

    def test_oneMeaning(self) -> None:
        """A letter is the short form of one option in all subcommands, those of servers too."""
        longForms: dict[str, set[str]] = {}
        for option in ServeOptions.parameters:
            if option.short:
                longForms.setdefault(f"-{option.short}", set()).add(f"--{option.name}")
        for name in COMMANDS:
            for parameter in importCommand(name).params:
                for short in parameter.opts[:-1]:
                    longForms.setdefault(short, set()).add(parameter.opts[-1])
        self.assertEqual([short for short, long in longForms.items() if len(long) > 1], [])
        self.assertEqual((longForms["-W"], longForms["-q"]), ({"--timeout"}, {"--quiet"}))
        self.assertEqual((longForms["-p"], longForms["-w"]), ({"--port"}, {"--deadline"}))

    def test_usage(self) -> None:
        """A usage error is one line, and status 2."""
        for words, message in (
            (("nonsense",), "echoproto: no such command 'nonsense'; see echoproto --help"),
            (
                ("serve", "--nonsense"),
                "echoproto serve: option --nonsense not recognized; see echoproto serve --help",
            ),
            (("pnig",), "echoproto: no such command 'pnig'; did you mean ping?"),
            (("help", "ping"), "echoproto: no such command 'help'; did you mean --help?"),
            (("--hlep",), "echoproto: no such option --hlep; did you mean --help?"),
            (("ping", "--hlep"), "echoproto ping: no such option --hlep; did you mean --help?"),
            (
                ("ping", "--zzz"),
                "echoproto ping: no such option --zzz; see echoproto ping --help",
            ),
            (("ping",), "echoproto ping: missing TARGET; see echoproto ping --help"),
            (
                ("ping", "-c", "0", "lab1"),
                "echoproto ping: --count: invalid number '0' (a whole number from 1 to 1000000000)"
                + "; see echoproto ping --help",
            ),
            (
                ("report",),
                "echoproto report: missing argument 'FILE...'; see echoproto report --help",
            ),
        ):
            self.assertEqual(self.run_(*words), (2, "", f"{message}\n"))
        self.assertIn("echoproto ping: ", self.run_("ping", "lab1:x")[2])

    def test_startupError(self) -> None:
        """An invalid option is one line and status 2; a failed start, printed already, status 1."""
        for said, status, errors in ((False, 2, "echoproto serve: the reason\n"), (True, 1, "")):

            def fail(options: Any, said: bool = said) -> int:
                raise StartupError("the reason", said)

            self.patch(ServeOptions, "run", fail)
            self.assertEqual(self.run_("serve"), (status, "", errors))

    def test_extraMissing(self) -> None:
        """A missing library of an extra is one line that names the extra."""

        def fail(options: Any) -> int:
            raise ImportError("measuring needs hdrhistogram", name="hdrh")

        self.patch(ServeOptions, "run", fail)
        install = f"in a clone: {sys.executable} -m pip install -e '.[measure]'"
        needs = f"echoproto: serve needs the extra 'measure'; {install}\n"
        self.assertEqual(self.run_("serve"), (2, "", needs))

    def test_moduleMissing(self) -> None:
        """Any other missing module is a fault of the installation, and is raised."""

        def fail(options: Any) -> int:
            raise ModuleNotFoundError("No module named 'nonsense'", name="nonsense")

        self.patch(ServeOptions, "run", fail)
        self.assertRaises(ModuleNotFoundError, self.run_, "serve")


class CompletionTests(SynchronousTestCase):
    def completed(self, words: str) -> list[str]:
        """The completions of the last word, as bash gets them."""
        # click writes bytes.
        output = io.TextIOWrapper(io.BytesIO(), write_through=True)
        variables = {
            COMPLETE_VARIABLE: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        with mock.patch.dict(os.environ, variables), redirect_stdout(output):
            self.assertEqual(run([]), 0)
        output.seek(0)
        return output.read().split()

    def test_commands(self) -> None:
        """Subcommands are completed, and options of the command itself."""
        self.assertEqual(self.completed("echoproto pi"), ["plain,ping"])
        self.assertEqual(self.completed("echoproto "), [f"plain,{name}" for name in COMMANDS])
        self.assertEqual(self.completed("echoproto --v"), ["plain,--version"])

    def test_options(self) -> None:
        """Options of subcommands are completed, and their values."""
        self.assertEqual(self.completed("echoproto ping --rec"), ["plain,--reconnect"])
        self.assertEqual(self.completed("echoproto ping --output nd"), ["plain,ndjson"])
        self.assertEqual(self.completed("echoproto serve --work"), ["plain,--workers"])

    def test_version(self) -> None:
        """A word that is complete already is not carried out."""
        self.assertEqual(self.completed("echoproto --version pi"), ["plain,ping"])


class LazyGroupTests(SynchronousTestCase):
    def test_commands(self) -> None:
        """Each subcommand has its name; others do not exist."""
        with click.Context(echoprotoCommand) as context:
            names = echoprotoCommand.list_commands(context)
            self.assertEqual(names, list(COMMANDS))
            for name in names:
                found = echoprotoCommand.get_command(context, name)
                assert found is not None
                self.assertEqual(found.name, name)
            self.assertIsNone(echoprotoCommand.get_command(context, "nonsense"))

    def imported(self, *words: str) -> set[str]:
        """The modules that a process imports for the command."""
        program = (
            "import sys\nfrom echoproto.cli.main import run\n"
            f"run({list(words)!r})\nprint('imported', *sys.modules)"
        )
        output = subprocess.check_output(
            [sys.executable, "-c", program], text=True, stderr=subprocess.DEVNULL, timeout=100
        )
        return set(output.rpartition("imported ")[2].split())

    def test_imports(self) -> None:
        """Help and greetings import no server, report, measurement or check."""
        packages = [f"echoproto.{name}" for name in ("server", "report", "conformance", "measure")]
        for words in (
            ("--help",),
            ("greet", "--help"),
            # Nothing listens on that port.
            ("greet", "udp://127.0.0.1:1"),
        ):
            modules = self.imported(*words)
            self.assertIn(greet.__name__ if "greet" in words else "echoproto.cli.main", modules)
            self.assertEqual(modules.intersection(packages), set(), words)
            self.assertEqual("echoproto.client.targets.endpoints" in modules, "--help" not in words)

    def test_extraMissing(self) -> None:
        """Help needs no extra."""
        for name in COMMANDS:
            modules = {module.partition(".")[0] for module in self.imported(name, "--help")}
            self.assertEqual(modules.intersection(("hdrh", "msgspec", "rich")), set(), name)


class EncodingTests(SynchronousTestCase):
    def test_escaped(self) -> None:
        """Text that the encoding of the standard output cannot hold is escaped."""
        raw = io.BytesIO()
        with redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")) as stream:
            self.assertRaises(SystemExit, main, ["--version"])
            print("b\u00fccher", flush=True)
            stream.detach()
        self.assertTrue(raw.getvalue().endswith(b"b\\xfccher\n"))
