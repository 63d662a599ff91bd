"""
The ``echoproto`` command itself: its subcommands, and what is said when a command line cannot be understood.

Called by the script ``echoproto`` and by ``python -m echoproto``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import twisted
from twisted.python.usage import Options, UsageError

import echoproto
from echoproto.cli.serve import ServeOptions

# Exit statuses, as echoproto.cli.exitcodes has them, which needs what a server can do without.
_USAGE, _INTERRUPTED = 2, 130


class Measuring(Options):
    """
    The command line of a measuring command, which is read by libraries that a server can do without.

    :param name: of the command.
    """

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Keep the words."""
        self._words = list(options or ())

    def run(self) -> int:
        """Do what they say; returns the exit status."""
        try:
            from echoproto.cli.measuring import run
        except ModuleNotFoundError as error:
            needs = f"{self._name} needs {error.name}; pip install 'echoproto[measure]'"
            print(f"echoproto: {needs}", file=sys.stderr)
            return 2
        return run(self._name, self._words)


class EchoprotoOptions(Options):
    """The command line of ``echoproto``."""

    longdesc = "Answers echo (RFC 862) and greeting over TCP and UDP, and measures any echo server. See echoproto COMMAND --help."

    subCommands: ClassVar = [
        ["serve", None, ServeOptions, "Serve in the foreground until stopped by a signal."],
        ["ping", None, partial(Measuring, "ping"), "Probe echo servers, as ping does."],
        ["load", None, partial(Measuring, "load"), "Load an echo server, and time every exchange."],
        ["verify", None, partial(Measuring, "verify"), "Check every byte of an echo."],
        ["report", None, partial(Measuring, "report"), "Read, merge and compare saved results."],
        ["greet", None, partial(Measuring, "greet"), "Greet a greeting server, once."],
    ]

    def getSynopsis(self) -> str:
        """How it is called; before the words of a subcommand, how it begins."""
        return "Usage: echoproto" if self.subCommand else "Usage: echoproto COMMAND [options]"

    def opt_version(self) -> None:
        """Print the versions of echoproto and Twisted, then exit."""
        print(f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})")
        raise SystemExit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the command.

    :param arguments: the words after ``echoproto``; those of the process where ``None``.
    :raise SystemExit: always, with its exit status: 0 where it did what was asked.
    """
    _haveStreams()
    try:
        if "_ECHOPROTO_COMPLETE" in os.environ:
            from echoproto.cli.measuring import complete

            complete()
        raise SystemExit(_run(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        # Before there is a reactor, which takes Ctrl-C for itself.
        raise SystemExit(_INTERRUPTED) from None
    finally:
        _endOutput()


def _haveStreams() -> None:
    """Who closed our output reads nothing: that is no error either."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process


def _run(arguments: Sequence[str]) -> int:
    options: Any = EchoprotoOptions()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(list(arguments))
    except UsageError as error:
        # One line, and not all the options, under which it would be lost.
        return _misused(f"echoproto: {error}; see echoproto {_command(options)}--help")
    if options.subCommand is None:
        return _misused(str(options))
    status: int = options.subOptions.run()
    return status


def _misused(said: str) -> int:
    print(said, file=sys.stderr)
    return _USAGE


def _endOutput() -> None:
    # Who reads it may be gone, as "head" is when it has its lines. That is no error, and Python would print it as one.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _command(options: Options) -> str:
    command = getattr(options, "subCommand", None)
    return f"{command} " if command else ""
