from __future__ import annotations

from itertools import islice
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.payloads import DISTINCT_MESSAGES, loadMessages


class LoadMessagesTests(SynchronousTestCase):
    def test_streams(self) -> None:
        """Messages have sizes in the range, and repeat after some different ones."""
        messages = list(islice(loadMessages(False, (8, 20), Random(7)), DISTINCT_MESSAGES + 1))
        self.assertEqual(messages[0], messages[-1])
        self.assertEqual(len(set(messages)), DISTINCT_MESSAGES)
        self.assertLessEqual({len(message) for message in messages}, {*range(8, 21)})

    def test_datagrams(self) -> None:
        """No two datagrams are equal."""
        messages = list(islice(loadMessages(True, (8, 20), Random(7)), 3 * DISTINCT_MESSAGES))
        self.assertEqual(len(set(messages)), len(messages))
