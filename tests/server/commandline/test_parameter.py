from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.commandline.parameter import LISTENERS, Parameter


class ParameterTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """Unless it says otherwise, an option takes one text, and sets nothing by itself."""
        option = Parameter("name", LISTENERS, "A name.")
        self.assertEqual((option.parse("x"), option.setting, option.default), ("x", "", None))
        self.assertFalse(option.isFlag or option.isRepeatable)
