from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.notes import differentOptions, optionsNote, resultNotes
from tests.report.sampleresults import storedResult


class NotesTests(SynchronousTestCase):
    def test_options(self) -> None:
        """Options that differ are named with their values, but not those that one side lacks."""
        results = [
            storedResult(options={"size_bytes": size, "count": 5, "rate": None, **more})
            for size, more in ((64, {"arrivals": "fixed"}), (16_000, {}), (64, {}))
        ]
        self.assertEqual(differentOptions(results), ["size_bytes"])
        self.assertEqual(optionsNote(results), ["different options: size_bytes (64, 16000)"])
        self.assertEqual(optionsNote(results[:1]), [])
        many = [storedResult(options={"size_bytes": size}) for size in range(9)]
        self.assertEqual(optionsNote(many), ["different options: size_bytes (0, 1, 2, 3, 4, ...)"])

    def test_results(self) -> None:
        """A result has its client's limits, the most frequent errors, and its remarks."""
        result = storedResult(
            limits=("it was busy",), reasons={"reset": 1, "refused": 3}, remarks=("unlike",)
        )
        notes = ["limited by the client: it was busy", "3 times: refused", "1 times: reset"]
        notes.append("unlike")
        self.assertEqual(resultNotes([result]), [f"udp://lab1:7: {note}" for note in notes])
        self.assertEqual(
            resultNotes([storedResult(), result]), [f"udp://lab1:7 (a.json): {n}" for n in notes]
        )
