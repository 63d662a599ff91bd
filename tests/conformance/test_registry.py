from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance import registry
from echoproto.conformance.registry import TCP, check


async def documented(tester: Any) -> str:
    """The server
    answers."""
    return ""


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(registry, "registered", [])

    def test_register(self) -> None:
        """A check is registered with its docstring as description and RFC 862 as source."""
        self.assertIs(check("answers", TCP)(documented), documented)
        [registered] = registry.registered
        self.assertEqual(
            (registered.name, registered.description, registered.source),
            ("answers", "The server answers.", "RFC 862, TCP"),
        )

    def test_withoutDocstrings(self) -> None:
        """Without docstrings (python -OO) the description is read from the source."""
        self.patch(documented, "__doc__", None)
        check("answers", TCP)(documented)
        self.assertEqual(registry.registered[0].description, "The server answers.")
