from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.text.suggestion import suggestion


class SuggestionTests(SynchronousTestCase):
    def test_similar(self) -> None:
        """The most similar word is suggested; none if all are different."""
        known = ("ping", "load", "--help")
        self.assertEqual(suggestion("pnig", known), "; did you mean ping?")
        self.assertEqual(suggestion("help", iter(known)), "; did you mean --help?")
        self.assertEqual(suggestion("nonsense", known), "")
