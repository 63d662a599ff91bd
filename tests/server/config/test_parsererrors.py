from __future__ import annotations

from twisted.internet.endpoints import serverFromString
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.config.parsererrors import explain


class ExplainTests(SynchronousTestCase):
    def reason(self, description: str) -> str:
        """Why Twisted refuses the description."""
        with self.assertRaises(Exception) as raised:
            serverFromString(None, description)
        return explain(raised.exception)

    def test_arguments(self) -> None:
        """Arguments that are unknown, missing or too many are named or counted."""
        for description, why in (
            ("tcp:7:prxy=any", "unknown argument prxy=; did you mean proxy?"),
            ("tcp:7:xyz=1", "unknown argument xyz="),
            ("tcp:7:interface=::1", "too many arguments, or one is repeated (use \\: for : "),
            ("unix:/x:interface=a", "unknown argument interface="),
            ("tcp:7:port=7", "too many arguments, or one is repeated (use \\: for : "),
            ("tcp:backlog=5", "an argument is missing"),
        ):
            self.assertTrue(self.reason(description).startswith(why), self.reason(description))

    def test_numbers(self) -> None:
        """A word in place of a number is shown; a number that no computer takes is not."""
        for description, why in (
            ("tcp:abc", "'abc' must be a number (example: tcp:7)"),
            ("unix:/x:mode=9", "'9' must be an octal number (example: mode=660)"),
            ("tcp:" + "9" * 5000, "a number is too large"),
        ):
            self.assertEqual(self.reason(description), why)

    def test_types(self) -> None:
        """An unknown type is shown; an address in its place is told where it belongs."""
        self.assertEqual(
            self.reason("nonsense:7"),
            "unknown type 'nonsense' (examples: 7, tcp:7:interface=127.0.0.1, unix:/run/echo)",
        )
        for description in ("127.0.0.1:7", "[::1]:7"):
            self.assertEqual(
                self.reason(description),
                "an address follows the port: tcp:7:interface=127.0.0.1, tcp6:7:interface=\\:\\:1",
            )

    def test_others(self) -> None:
        """The other errors have a reason, too."""
        for description, why in (
            ("tcp:0\\", "it ends with a backslash (use \\\\ for one)"),
            ("systemd:domain=INET:index=0", "systemd passed no such socket, or an argument is "),
        ):
            self.assertTrue(self.reason(description).startswith(why), self.reason(description))
        self.assertEqual(explain(ValueError("some text\n")), "some text\\n")
        self.assertEqual(explain(ValueError()), "ValueError")
