"""
The options of a subcommand as the fields of a dataclass: a field is an option of click too.

The groups of options are made here and not by cloup, which needs click 8.5 and doubles its import
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Settings of every command.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}

CONNECTION_OPTIONS = "Connection options"
OUTPUT_OPTIONS = "Output options"


class GroupedCommand(click.Command):
    """A command whose help shows options under their titles, its own before the shared ones."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click.Command``."""
        options = [param for param in self.params if isinstance(param, _GroupedOption)]
        titles = dict.fromkeys(param.title for param in options)
        shared = (CONNECTION_OPTIONS, OUTPUT_OPTIONS)
        for title in sorted(titles, key=lambda title: title in shared):
            rows = [param.get_help_record(ctx) for param in options if param.title == title]
            with formatter.section(title):
                formatter.write_dl([row for row in rows if row is not None])


class _GroupedOption(click.Option):
    def __init__(self, names: Sequence[str], title: str, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.title = title


def option(title: str, *names: str, **settings: object) -> Any:  # Any: a field of any type
    """
    A field that is an option.

    :param title: its title in the help.
    :param names: its names on the command line; the long one is by default that of the field.
    :param settings: those of ``click.Option``.
    """
    known: Any = {"title": title, "show_default": "default" in settings, **settings}

    def make(field: str) -> click.Option:
        long = () if names and names[-1].startswith("--") else (f"--{field.replace('_', '-')}",)
        return _GroupedOption([*names, *long, field], **known)

    return field(metadata={"make": make})


def argument(metavar: str, **settings: object) -> Any:  # Any: a field of any type
    """A field that has all words that are not options; settings are those of ``click.Argument``."""
    known: Any = {"metavar": metavar, "nargs": -1, **settings}
    return field(metadata={"make": lambda name: click.Argument([name], **known)})


def outputOption(*formats: str) -> Any:  # Any: a field of any type
    """A field that is the option ``--output``; the first of the formats is the default."""
    return option(
        OUTPUT_OPTIONS,
        "-o",
        metavar="FORMAT",
        type=click.Choice(formats),
        default=formats[0],
        help=f"Format: {', '.join(formats[:-1])} or {formats[-1]}.",
    )


def quietOption(summary: str = "the summary") -> Any:  # Any: a field of any type
    """
    A field that is the option ``--quiet``: no progress, and no line for a single event.

    :param summary: the rest.
    """
    return option(OUTPUT_OPTIONS, "-q", is_flag=True, help=f"Show only {summary}.")


def command(
    name: str, kind: type[DataclassInstance], description: str, epilog: str
) -> click.Command:
    """
    The command that calls ``runNAME`` of ``echoproto.cli.sessions.NAME`` with its options.

    That module is imported only then: help and completion must not wait for a measurement.

    :param kind: the dataclass of the options.
    """

    def run(**values: object) -> int:
        options = kind(**values)
        session = import_module(f"echoproto.cli.sessions.{name}")
        status: int = getattr(session, f"run{name.capitalize()}")(options)
        return status

    return GroupedCommand(
        name,
        callback=run,
        params=[field.metadata["make"](field.name) for field in fields(kind)],
        help=description,
        epilog=epilog,
        context_settings=CONTEXT,
    )


def optionValues(options: DataclassInstance) -> dict[str, Any]:
    """The options in effect by their long names, without labels, as plain values for JSON."""
    return {
        field.metadata["make"](field.name).opts[-1].lstrip("-"): _plainValue(
            getattr(options, field.name)
        )
        for field in fields(options)
        if field.name != "labels"
    }


def _plainValue(value: object) -> Any:
    if isinstance(value, tuple):
        return [_plainValue(item) for item in value]
    # Targets and assertions have the text that they were parsed from.
    return value.hex() if isinstance(value, bytes) else getattr(value, "text", value)
