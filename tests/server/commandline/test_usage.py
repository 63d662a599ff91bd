from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.commandline.parameter import Parameter
from echoproto.server.commandline.usage import EXAMPLES, usageText


class UsageTextTests(SynchronousTestCase):
    def test_groups(self) -> None:
        """Options are shown by group, with letter, value and default, in columns."""
        text = usageText(
            "Serves.",
            [
                Parameter("port", "First", "A port.", "7", short="p", metavar="N"),
                Parameter("flag", "Second", "A flag.", isFlag=True),
                Parameter("a-name-longer-than-the-column", "First", "Some words " * 5),
            ],
            EXAMPLES,
            60,
        )
        lines = text.splitlines()
        self.assertEqual(
            lines[:7],
            [
                "Serves.",
                "",
                "First:",
                "  -p, --port N                  A port. [default: 7]",
                "      --a-name-longer-than-the-column TEXT",
                "                                Some words Some words Some",
                "                                words Some words Some words",
            ],
        )
        self.assertEqual(lines[7:10], ["", "Second:", "      --flag                    A flag."])
        self.assertIn("LISTENER is a port number", text)
        self.assertTrue(text.endswith(EXAMPLES))
