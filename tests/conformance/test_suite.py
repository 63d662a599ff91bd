from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.registry import TCP, UDP
from echoproto.conformance.suite import ANSWERS, CHECKS, chosen


class SuiteTests(SynchronousTestCase):
    def test_descriptions(self) -> None:
        """A check has a one-sentence description, a source and a unique name in its carrier."""
        for check in CHECKS:
            self.assertRegex(check.description, r"^[A-Z][^\n]*[a-zN]\.$", check.name)
            self.assertRegex(check.source, "^(RFC [0-9]+|CERT )", check.name)
        names = Counter((check.carrier, check.name) for check in CHECKS)
        self.assertEqual(set(names.values()), {1})

    def test_carriers(self) -> None:
        """Checks are selected by carrier, risky ones only on request."""
        for carriers in ((TCP,), (UDP,), (TCP, UDP)):
            selected = chosen(carriers)
            self.assertEqual({check.carrier for check in selected}, set(carriers))
            self.assertFalse(any(check.risky for check in selected))
            more = chosen(carriers, risky=True)
            self.assertTrue(any(check.risky for check in more))
            self.assertEqual([check for check in more if not check.risky], selected)
        self.assertEqual(chosen((TCP, UDP), risky=True), list(CHECKS))

    def test_only(self) -> None:
        """Checks are selected by name, always together with the first check of their carrier."""
        selected = chosen((TCP, UDP), ["datagram-sizes", "all-byte-values"])
        self.assertEqual(
            [(check.carrier, check.name) for check in selected],
            [
                (TCP, ANSWERS),
                (TCP, "all-byte-values"),
                (UDP, ANSWERS),
                (UDP, "all-byte-values"),
                (UDP, "datagram-sizes"),
            ],
        )

    def test_unknown(self) -> None:
        """
        The name of a check that cannot run raises an error that suggests or lists other names, or
        names the option that the check needs.
        """
        for name, message in (
            ("size", "^unknown check 'size' .checks: answers, all-byte-values, datagram-sizes, "),
            ("datagramsizes", "^unknown check 'datagramsizes'; did you mean datagram-sizes.$"),
            ("half-close", "^'half-close' is a check of tcp; add --carrier tcp$"),
            ("datagram-burst", "^check 'datagram-burst' is risky; add --risky"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                chosen((UDP,), [name])
