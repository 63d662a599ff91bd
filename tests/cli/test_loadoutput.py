from __future__ import annotations

import json
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.loadoutput import LOAD_FORMS
from echoproto.measure.intervals import Interval
from echoproto.report.document import loadValues
from tests.report.results import loaded

SECONDS = (Interval(0, 5, 4, 1, 2, 3, 4, wrong=1), Interval(1_000_000_000, 1, 0, wrong=0))
RESULT = loaded(intervals=SECONDS)


def written(form: str) -> Iterator[str]:
    made = LOAD_FORMS[form]()
    for each in SECONDS:
        yield from made.second(each)
    yield from made.end(RESULT)


class FormTests(SynchronousTestCase):
    def test_text(self) -> None:
        """People have the summary."""
        [said] = written("text")
        self.assertIn("10 sent, 9 received", said)

    def test_json(self) -> None:
        """JSON is one document, with each second."""
        [said] = written("json")
        self.assertEqual(json.loads(said), json.loads(json.dumps(loadValues(RESULT))))

    def test_ndjson(self) -> None:
        """NDJSON has a line for each second, and one for the whole without them."""
        *seconds, summary = map(json.loads, written("ndjson"))
        self.assertEqual(seconds, [{"type": "interval", **each.values()} for each in SECONDS])
        self.assertEqual(set(summary), {"type", *loadValues(RESULT)} - {"interval_ns", "intervals"})
        self.assertEqual((summary["type"], summary["sent"]), ("summary", 10))

    def test_csv(self) -> None:
        """CSV has the names of the columns, and a row for each second; nothing is written where nothing came."""
        self.assertEqual(
            list(written("csv")),
            [
                "at_ns,sent,received,wrong,min_ns,p50_ns,p99_ns,max_ns",
                "0,5,4,1,1,2,3,4",
                "1000000000,1,0,0,,,,",
            ],
        )
