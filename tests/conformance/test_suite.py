from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.registry import TCP, UDP
from echoproto.conformance.suite import ANSWERS, CHECKS, chosen


class BatteryTests(SynchronousTestCase):
    def test_told(self) -> None:
        """
        Each check says in one sentence what it asks, and where that stands; no name is there twice
        on a carrier.
        """
        for each in CHECKS:
            self.assertRegex(each.description, r"^[A-Z][^\n]*[a-zN]\.$", each.name)
            self.assertRegex(each.source, "^(RFC [0-9]+|CERT )", each.name)
        names = Counter((each.carrier, each.name) for each in CHECKS)
        self.assertEqual(set(names.values()), {1})

    def test_carriers(self) -> None:
        """Those of the carriers are tester, the risky ones only where they are wanted."""
        for carriers in ((TCP,), (UDP,), (TCP, UDP)):
            found = chosen(carriers)
            self.assertEqual({each.carrier for each in found}, set(carriers))
            self.assertFalse(any(each.risky for each in found))
            more = chosen(carriers, risky=True)
            self.assertTrue(any(each.risky for each in more))
            self.assertEqual([each for each in more if not each.risky], found)
        self.assertEqual(chosen((TCP, UDP), risky=True), list(CHECKS))

    def test_only(self) -> None:
        """Of those that are named, and always whether anybody answers."""
        found = chosen((TCP, UDP), ["datagram-sizes", "all-byte-values"])
        self.assertEqual(
            [(each.carrier, each.name) for each in found],
            [
                (TCP, ANSWERS),
                (TCP, "all-byte-values"),
                (UDP, ANSWERS),
                (UDP, "all-byte-values"),
                (UDP, "datagram-sizes"),
            ],
        )

    def test_none(self) -> None:
        """What is no check is told, with those that there are."""
        for name, says in (
            ("size", "^unknown check 'size' .checks: answers, all-byte-values, datagram-sizes, "),
            ("half-close", "^unknown check 'half-close' .checks: "),
            ("datagram-burst", "^check 'datagram-burst' is risky; add --risky"),
        ):
            with self.assertRaisesRegex(ValueError, says):
                chosen((UDP,), [name])
