from __future__ import annotations

from echoproto.cli.conformance import conformanceCommand
from tests.cli.optionscase import OptionsTestCase


class ConformanceOptionsTests(OptionsTestCase):
    command = conformanceCommand

    def test_carriers(self) -> None:
        """Without --carrier the carrier is that of the target."""
        for words, carriers in (
            (("lab1",), ("tcp",)),
            (("udp://lab1",), ("udp",)),
            (("tls://lab1",), ("tcp",)),
            (("--carrier", "udp", "lab1"), ("udp",)),
            (("--carrier", "all", "lab1"), ("tcp", "udp")),
        ):
            options = self.parsed(*words)
            self.assertEqual(options.carriers, carriers)

    def test_list(self) -> None:
        """--list needs no target, and has all carriers."""
        self.assertEqual(self.parsed("--list").carriers, ("tcp", "udp"))

    def test_explain(self) -> None:
        """--explain needs no target."""
        self.assertEqual(self.parsed("--explain", "half-close").explain, "half-close")
