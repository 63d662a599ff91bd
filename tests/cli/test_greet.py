from __future__ import annotations

import os

import click

from echoproto.cli.greet import greetCommand
from echoproto.protocols.greeting import CLIENT_GREETING
from tests.cli.optionscase import OptionsTestCase


class GreetOptionsTests(OptionsTestCase):
    command = greetCommand

    def test_greeting(self) -> None:
        """The greeting is the usual one, or the bytes that were typed."""
        self.assertEqual(self.parsed("lab1").greeting, CLIENT_GREETING)
        typed = os.fsdecode(b"caf\xe9")
        self.assertEqual(self.parsed("-m", typed).greeting, b"caf\xe9")

    def test_empty(self) -> None:
        """An empty greeting is an error."""
        with self.assertRaisesRegex(click.UsageError, "an empty --message has no reply"):
            self.parsed("-m", "", "lab1")
