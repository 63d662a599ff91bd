from __future__ import annotations

import socket
from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.way import connectOptions, connectOptionsOf, targetsOf
from echoproto.targets.endpoints import ConnectOptions
from echoproto.targets.target import Target


class WayTests(SynchronousTestCase):
    def given(self, *words: str) -> dict[str, Any]:
        """What a command with the options is given."""
        found: dict[str, Any] = {}
        command = click.command()(connectOptions(lambda **given: found.update(given)))
        ended = CliRunner().invoke(command, words)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return found

    def test_way(self) -> None:
        """The options make a way."""
        self.assertEqual(connectOptionsOf(self.given()), ConnectOptions())
        self.assertEqual(
            connectOptionsOf(self.given("-6", "-I", "::1", "--ca", "x.pem", "--insecure")),
            ConnectOptions(socket.AF_INET6, "::1", "x.pem", False),
        )
        self.assertEqual(connectOptionsOf(self.given("-4")).family, socket.AF_INET)
        self.assertTrue(connectOptionsOf({**self.given(), "numeric": True}).numeric)

    def test_targets(self) -> None:
        """Descriptions are targets too, and there must be one of any kind."""
        lab = Target("tcp://lab1:7", "tcp", "lab1", 7)
        given = self.given("--endpoint", "tcp:lab2:7")
        self.assertEqual(
            targetsOf([lab], given), [lab, Target("tcp:lab2:7", "endpoint", path="tcp:lab2:7")]
        )
        with self.assertRaises(click.UsageError):
            targetsOf([], self.given())
