"""
The command ``echoproto``: a click group that imports a subcommand only when it is run.

Called by :mod:`echoproto.cli.entry`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from importlib import import_module
from stat import S_ISCHR
from typing import TYPE_CHECKING

import click
import twisted

import echoproto
from echoproto.cli.declarations import CONTEXT
from echoproto.cli.exitcodes import LOCAL_ERROR, OK, complain, discardOutput
from echoproto.errors import StartupError
from echoproto.text.suggestion import suggestion

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: The subcommands; each is ``NAMECommand`` in the module of its name.
COMMANDS = {
    "serve": "Run the server in the foreground.",
    "ping": "Probe echo servers, as ping does.",
    "load": "Generate load, and time every exchange.",
    "verify": "Compare every byte of a long echo.",
    "conformance": "Check whether a server conforms to RFC 862.",
    "monitor": "Probe many echo servers for Prometheus.",
    "greet": "Send one greeting, and print the reply.",
    "health": "Check whether a server is healthy, or ready.",
    "report": "Show, merge and compare saved results.",
}

#: Set by the shell when it asks for a completion, or for the script that enables completion.
COMPLETE_VARIABLE = "_ECHOPROTO_COMPLETE"

#: The output cannot be written.
_FULL = (ENOSPC, EDQUOT, EFBIG, EIO)

#: Modules that only the extra ``measure`` installs.
_MEASURE_MODULES = ("hdrh", "rich", "msgspec", "tomli")

_EPILOG = """\b
Examples:
  echoproto serve --port 12345
  echoproto ping udp://lab1
  echoproto conformance lab1:7

\b
See echoproto COMMAND --help. Completion, for bash:
  eval "$(_ECHOPROTO_COMPLETE=bash_source echoproto)"
"""


def importCommand(name: str) -> click.Command:
    """Import a subcommand of :data:`COMMANDS`."""
    command: click.Command = getattr(import_module(f"echoproto.cli.{name}"), f"{name}Command")
    # The docstring is the description, and python -OO keeps none.
    command.help = command.help or COMMANDS[name]
    return command


class LazyGroup(click.Group):
    """A group whose help and completion list :data:`COMMANDS` without importing them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See ``click.Group``; an unknown command has a suggestion."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            known = [*COMMANDS, *_optionNames(ctx)]
            raise click.UsageError(f"no such command {args[0]!r}{suggestion(args[0], known)}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See ``click.Group``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See ``click.Group``."""
        return importCommand(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click.Group``."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See ``click.Group``."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    "echoproto", LazyGroup, invoke_without_command=True, context_settings=CONTEXT, epilog=_EPILOG
)
@click.version_option(
    echoproto.__version__,
    message=f"echoproto %(version)s (Twisted {twisted.__version__})",
    help="Print the versions of echoproto and Twisted, and exit.",
)
@click.pass_context
def echoprotoCommand(ctx: click.Context) -> int:
    """Serve echo (RFC 862) and greetings over TCP and UDP, and measure any echo server."""
    if ctx.invoked_subcommand is not None:
        return OK
    click.echo(ctx.get_help(), err=True)
    return LOCAL_ERROR


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the command.

    :param arguments: the words after ``echoproto``; those of the process if ``None``.
    :raise SystemExit: otherwise, with the exit status.
    :raise KeyboardInterrupt: it was interrupted before the reactor handled signals.
    """
    _prepareStreams()
    try:
        raise SystemExit(run(sys.argv[1:] if arguments is None else arguments))
    finally:
        _flushOutput()


def run(words: Sequence[str]) -> int:
    """
    Run the command, and print any error of the user as one line.

    :return: the exit status.
    """
    called = f"echoproto {words[0]}" if words and words[0] in COMMANDS else "echoproto"
    try:
        return _invoke(list(words))
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        message = _messageOf(error)
        complain(f"{called}: {message}{'' if message[-1] == '?' else f'; see {called} --help'}")
    except StartupError as error:
        # Reported already: a listener cannot be opened. Otherwise an option is invalid.
        if error.code == 1:
            return 1
        complain(f"{called}: {error}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _MEASURE_MODULES:
            raise
        install = f"in a clone: {sys.executable} -m pip install -e '.[measure]'"
        complain(f"echoproto: {words[0]} needs the extra 'measure'; {install}")
    except BrokenPipeError:
        # The reader of a help text, such as head, has read enough.
        return OK
    except OSError as error:
        if error.errno not in _FULL:
            raise
        complain(f"{called}: {_cannotWrite(error)}")
        discardOutput()
    return LOCAL_ERROR


def _messageOf(error: click.ClickException) -> str:
    """The message of an error of click, in the style of the others."""
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        return f"{error.param.opts[-1]}: {error.message.rstrip('.')}"
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        name = error.option_name
        return f"no such option {name}{suggestion(name, _optionNames(error.ctx))}"
    message = error.message if isinstance(error, click.BadParameter) else error.format_message()
    message = message or error.format_message()
    return f"{message[0].lower()}{message[1:].rstrip('.')}"


def _optionNames(ctx: click.Context) -> list[str]:
    """The long and short names of the options of a command."""
    params = ctx.command.get_params(ctx)
    return [name for param in params for name in param.opts if isinstance(param, click.Option)]


def _invoke(words: list[str]) -> int:
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(echoprotoCommand, {}, "echoproto", COMPLETE_VARIABLE, instruction)
    with echoprotoCommand.make_context("echoproto", words) as context:
        return echoprotoCommand.invoke(context) or OK


def _prepareStreams() -> None:
    """
    Replace a standard stream that the caller has closed, as daemons do; escape text that the
    encoding of the standard output cannot hold, as Python does on the standard error.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _flushOutput() -> None:
    """
    Flush the output; a reader that is gone, as head may be, or a terminal that is closed, is not an
    error.

    :raise SystemExit: the output cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        isGone = isinstance(error, BrokenPipeError) or _isClosedTerminal(error)
        discardOutput()
        if not isGone:
            complain(f"echoproto: {_cannotWrite(error)}")
            raise SystemExit(LOCAL_ERROR) from None


def _isClosedTerminal(error: OSError) -> bool:
    """Whether the output was a terminal that is closed, and no disk with errors."""
    return error.errno == EIO and S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)


def _cannotWrite(error: OSError) -> str:
    return f"cannot write: {error.strerror}; the rest of the output is lost"
