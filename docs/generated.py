"""
The parts of the pages that are generated from the code.

A page has ``<!-- generated: KIND NAME -->`` in their place, and :func:`expand` replaces it by
Markdown.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from echoproto.cli.main import COMMANDS, echoprotoCommand, importCommand
from echoproto.cli.serve import ServeOptions
from echoproto.report.schema import DOCUMENTS, jsonSchema
from echoproto.server.commandline.options import Options

#: The page, the name and the summary of the manual page of each command.
MANUAL_PAGES = [
    ("echoproto", "echoproto", "Serve echo, and measure echo servers."),
    ("twistd", "twistd-echoproto", "Run the server under twistd."),
    *((name, f"echoproto-{name}", summary) for name, summary in COMMANDS.items()),
]


#: Precedes the exit statuses in a help text.
_EXIT_STATUS = "Exit status: "


def expand(source: str) -> str:
    """The text of a page with its generated parts."""
    return re.sub(r"<!-- generated: (\w+) ?(\w*) -->", lambda found: _part(*found.groups()), source)


def _part(kind: str, name: str) -> str:
    return "\n".join({"command": _command, "schemas": _schemas}[kind](name))


def _command(name: str) -> Iterator[str]:
    """The options of a command, by group, and its examples."""
    if name == "twistd":
        yield from _server("twistd [options] echoproto [options]", Options())
    elif name == "serve":
        yield from _server("echoproto serve [options]", ServeOptions())
    elif name == "echoproto":
        yield from _client(name, echoprotoCommand)
        yield from ("", "## Commands", "")
        yield from (f"- `{command}`: {summary}" for command, summary in COMMANDS.items())
    else:
        yield from _client(f"echoproto {name}", importCommand(name))


def _server(synopsis: str, options: Options) -> Iterator[str]:
    yield from _synopsis(synopsis, options.longdesc)
    yield from ("", "## Options")
    for group in dict.fromkeys(parameter.group for parameter in options.parameters):
        yield from ("", f"### {group}")
        for parameter in options.parameters:
            if parameter.group == group:
                letter = f"-{parameter.short}, " if parameter.short else ""
                value = "" if parameter.isFlag else f" {parameter.metavar}"
                default = "" if parameter.default is None else f" [default: {parameter.default}]"
                yield from _option(f"{letter}--{parameter.name}{value}", parameter.help + default)
    notes = options.getUsage(80)
    values, examples = notes[notes.index("LISTENER is a port") :].split("\nExamples:\n")
    examples, _, status = examples.partition(_EXIT_STATUS)
    yield from ("", "## Values", *_literal(values))
    yield from ("", "## Examples", *_literal(textwrap.dedent(examples)))
    yield from _exitStatus(status)


class _Sections(click.HelpFormatter):
    """Keeps the options that a command would print, by the titles of their sections."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, list[tuple[str, str]]] = {}

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        self._title = name
        yield

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: int, **settings: int) -> None:
        self.sections[self._title] = list(rows)


def _client(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield from _synopsis(" ".join(command.get_usage(context).split()[1:]), command.help or "")
    formatter = _Sections()
    command.format_options(context, formatter)
    formatter.sections.pop("Commands", None)
    yield from ("", "## Options")
    for title, rows in formatter.sections.items():
        if title != "Options":
            yield from ("", f"### {title}")
        for names, text in rows:
            yield from _option(names, text)
    epilog, _, status = (command.epilog or "").replace("\b\n", "").partition(_EXIT_STATUS)
    for paragraph in epilog.strip().split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        if first == "Examples:":
            yield from ("", "## Examples", *_literal(textwrap.dedent(rest)))
        else:
            yield from ("", _escaped(" ".join(paragraph.split())))
    yield from _exitStatus(status)


def _synopsis(usage: str, description: str) -> Iterator[str]:
    yield from ("", "## Synopsis", *_literal(usage))
    yield from ("", "## Description", "", _escaped(" ".join(description.split())))


def _exitStatus(text: str) -> Iterator[str]:
    if text:
        yield from ("", "## Exit status", "", _escaped(" ".join(text.split())))


def _option(names: str, text: str) -> Iterator[str]:
    yield from ("", f":::{{option}} {names}", _escaped(" ".join(text.split())), ":::")


def _literal(text: str) -> Iterator[str]:
    yield from ("", "```none", text.rstrip(), "```")


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]{}|#])", r"\\\1", text)


def _schemas(name: str) -> Iterator[str]:
    """The JSON schema of every document."""
    for command in DOCUMENTS:
        yield from ("", f"## {command}", "", "```json")
        yield from (json.dumps(jsonSchema(command), indent=2), "```")
