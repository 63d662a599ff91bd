from __future__ import annotations

from dataclasses import dataclass

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.declarations import (
    CONNECTION_OPTIONS,
    argument,
    command,
    option,
    optionValues,
    outputOption,
    quietOption,
)
from echoproto.cli.paramtypes import PATTERN
from tests.cli.optionscase import OptionsTestCase


@dataclass(frozen=True, kw_only=True)
class GroupedOptions:
    """Options under several titles."""

    shared: bool = option(CONNECTION_OPTIONS, "-s", is_flag=True, help="S.")
    a: bool = option("First", "-a", "--alpha", is_flag=True, help="A.")
    two_words: int = option("Second", default=5, help="B.")
    c: bool = option("First", "-c", is_flag=True, help="C.")
    quiet: bool = quietOption("it")
    secret: bool = option("Second", is_flag=True, hidden=True)


class GroupedCommandTests(SynchronousTestCase):
    def test_groups(self) -> None:
        """
        Options stand under their titles, in the order in which they are declared, those that
        commands share last. The long name is that of the field unless there is another one.
        """
        nothing = command("x", GroupedOptions, "Does nothing.", "The end.")
        output = CliRunner().invoke(nothing, ["--help"]).output
        self.assertIn(
            """Does nothing.

First:
  -a, --alpha  A.
  -c, --c      C.

Second:
  --two-words INTEGER  B.  [default: 5]

Connection options:
  -s, --shared  S.

Output options:
  -q, --quiet  Show only it.

  The end.
""",
            output,
        )


@dataclass(frozen=True, kw_only=True)
class PlainOptions:
    """Options of several types."""

    words: tuple[str, ...] = argument("WORD")
    output: str = outputOption("text", "json")
    labels: tuple[str, ...] = option("First", "--label", multiple=True)
    data: bytes = option("First", type=PATTERN, default=b"\0\xff")


class OptionValuesTests(OptionsTestCase):
    def test_values(self) -> None:
        """The options in effect are plain values by their long names, without labels."""
        options = self.parsedAs(PlainOptions, "a", "b", "--label", "c")
        self.assertEqual(
            optionValues(options), {"words": ["a", "b"], "output": "text", "data": "00ff"}
        )
