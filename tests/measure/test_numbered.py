from __future__ import annotations

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.numbered import LEAST, SESSION, numbered


class NumberedTests(SynchronousTestCase):
    def test_datagrams(self) -> None:
        """Each has the session's number and its own, so that none is as another; bodies come again."""
        made = list(islice(numbered(b"mine", [b"a", b"bc"]), 5))
        self.assertEqual({each[:SESSION] for each in made}, {b"mine"})
        self.assertEqual([each[LEAST:] for each in made], [b"a", b"bc", b"a", b"bc", b"a"])
        self.assertEqual(len(set(made)), 5)
