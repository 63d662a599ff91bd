from __future__ import annotations

from math import isnan

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.assertions import parseAssertion


class AssertionTests(SynchronousTestCase):
    def failure(self, text: str, **values: float) -> str:
        return parseAssertion(text).failure(values)

    def test_holds(self) -> None:
        """Every comparison, of times, shares and counts."""
        for text, values in (
            ("p99<5ms", {"p99": 4_999_999}),
            ("max <= 1s", {"max": 10**9}),
            ("received>=100", {"received": 100}),
            ("corrupt==0", {"corrupt": 0}),
            ("loss<1%", {"loss": 0.009}),
            ("loss<0.01", {"loss": 0.009}),
            ("sent>3", {"sent": 4}),
            ("loss-up<=1%", {"loss-up": 0.01}),
            ("lost-unknown==0", {"lost-unknown": 0}),
        ):
            self.assertEqual(self.failure(text, **values), "", text)

    def test_fails(self) -> None:
        """A failed assertion is reported with the value."""
        for text, value, says in (
            ("avg<5ms", 5_200_000, "avg is 5.200ms"),
            ("loss<=1%", 0.25, "loss is 25.00%"),
            ("received>=100", 99, "received is 99"),
        ):
            name = parseAssertion(text).name
            self.assertEqual(self.failure(text, **{name: value}), f"{text}: {says}")

    def test_nothingMeasured(self) -> None:
        """An assertion on a time that was not measured fails."""
        self.assertEqual(self.failure("p99<5ms"), "p99<5ms: not measured")
        self.assertEqual(self.failure("p99.9<5ms"), "p99.9<5ms: not measured")

    def test_unknown(self) -> None:
        """An unknown name is left to the command, which knows what it measures."""
        found = parseAssertion("p98<5ms")
        self.assertEqual((found.name, found.comparison, isnan(found.bound)), ("p98", "<", True))

    def test_wrong(self) -> None:
        """Invalid text is an error with a reason."""
        for text, says in (
            ("p99", "invalid assertion"),
            ("p99<fast", "invalid duration"),
            ("p99<5", "'p99<5': a time needs a unit, such as 5ms"),
            ("max<=.5", "a time needs a unit"),
            ("sent<many", "invalid number 'many'"),
            ("loss<nan", "invalid number 'nan'"),
            ("sent>-inf", "invalid number '-inf'"),
            ("sent<5%", "sent is a count"),
        ):
            with self.assertRaisesRegex(ValueError, says):
                parseAssertion(text)
