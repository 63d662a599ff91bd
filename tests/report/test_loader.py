from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ReportError
from echoproto.measure.intervals import Interval
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report import loader
from echoproto.report.compare import compare
from echoproto.report.documents.load import loadDocument
from echoproto.report.documents.probe import probeValues
from echoproto.report.documents.report import reportDocument
from echoproto.report.documents.values import plainValues
from echoproto.report.loader import MAX_PROBES, readResults, readStream
from echoproto.report.merge import mergeResults
from echoproto.report.result import StoredResult
from echoproto.report.table import resultColumns
from echoproto.text.units import SECOND
from tests.report.sampleresults import MS, histogramOf, loadResult, storedResult, storedVerification
from tests.report.test_decoder import pinged


def read(text: str) -> list[StoredResult]:
    return readStream(io.StringIO(text), "a.json")


def line(type: str, values: dict[str, Any]) -> str:
    return json.dumps({"type": type, **values}) + "\n"


def probe(at: int, seen: ProbeOutcome, target: str = "udp://lab1:7") -> str:
    return line("probe", probeValues(target, at, seen))


def summary(**values: Any) -> str:
    return line("summary", {**pinged()["targets"][0], **values})


class ReadingTests(SynchronousTestCase):
    def refused(self, text: str, says: str) -> None:
        with self.assertRaises(ReportError) as caught:
            read(text)
        self.assertEqual(str(caught.exception), f"a.json: {says}")

    def test_files(self) -> None:
        """A file is read by its name, with or without a byte order mark."""
        path = Path(self.mktemp())
        for encoding in ("utf-8", "utf-8-sig"):
            path.write_text(json.dumps(pinged(), indent=2), encoding=encoding)
            (found, _) = readResults(path)
            self.assertEqual((found.files, found.sent), ((str(path),), 3))

    def test_cannot(self) -> None:
        """A file that cannot be read is reported in one line, whatever its name."""
        for name, says in (
            ("nowhere/x", "nowhere/x: No such file or directory"),
            (".", ".: Is a directory"),
            ("a\nb", "a\\nb: No such file or directory"),
        ):
            with self.assertRaises(ReportError) as caught:
                readResults(name)
            self.assertEqual(str(caught.exception), says)
        path = Path(self.mktemp())
        path.write_bytes(b"\xff\xfe\x00")
        self.assertRaisesRegex(ReportError, "not a text file", readResults, path)

    def test_documents(self) -> None:
        """A document may be on one line or on many."""
        for indent in (None, 2):
            self.assertEqual(len(read(json.dumps(pinged(), indent=indent))), 2)

    def test_refused(self) -> None:
        """An invalid file is reported in one line, with a remedy."""
        again = "measure again, with -o json --out FILE"
        whole = json.dumps(pinged(), indent=2)
        truncated = "not valid JSON, or truncated (input data was truncated)"
        self.refused("", f"empty file; {again}")
        self.refused(whole[:30], f"{truncated}; {again}")
        self.refused("5 sent", f"not an echoproto measurement (expected object, got int); {again}")
        self.refused("[1]", f"not an echoproto measurement (expected object, got array); {again}")
        self.refused("9" * 5000, f"number out of range; {again}")
        self.refused("{}", f"not an echoproto measurement; {again}")
        self.refused(json.dumps({**pinged(), "targets": []}), f"no results; {again}")
        self.patch(loader, "MAX_LENGTH", 100)
        self.refused(whole, "longer than any measurement; is it the right file?")

    def test_lines(self) -> None:
        """NDJSON is read by its summaries, with the probes before them in the order of time."""
        text = (
            probe(9 * MS, ProbeOutcome(OutcomeKind.REPLY, 1, 32, 2 * MS))
            + probe(3 * MS, ProbeOutcome(OutcomeKind.REPLY, 0, 32, MS))
            + probe(4 * MS, ProbeOutcome(OutcomeKind.DUPLICATE, 0, 32, 5 * MS))
            + probe(5 * MS, ProbeOutcome(OutcomeKind.FOREIGN, None, 32))
            + probe(6 * MS, ProbeOutcome(OutcomeKind.LOST, 2))
            + probe(7 * MS, ProbeOutcome(OutcomeKind.LOST, 3))
            + probe(SECOND, ProbeOutcome(OutcomeKind.LATE, 3, 32, SECOND))
            + probe(8 * MS, ProbeOutcome(OutcomeKind.LOST, 0), "lab2")
            + summary()
            + summary(target="lab2")
        )
        first, second = read(text)
        answered = ((3 * MS, MS), (6 * MS, None), (9 * MS, 2 * MS), (SECOND, SECOND))
        self.assertEqual((first.probes, second.probes), (answered, ((8 * MS, None),)))
        self.assertEqual((first.sent, len(first.intervals)), (3, 2))
        # Two runs in one file.
        self.assertEqual([result.probes for result in read(text + summary())][2], ())

    def test_seconds(self) -> None:
        """The summary of a load has the intervals before it."""
        seconds = [Interval(0, 5, 4, UNSET, 1, 2, 3, 4), Interval(SECOND, 5, 0)]
        lines = "".join(line("interval", plainValues(second)) for second in seconds)
        whole = line("summary", loadDocument(loadResult()))
        first, second = read(lines + whole + whole)
        self.assertEqual((first.command, first.width), ("load", SECOND))
        self.assertEqual((first.intervals, second.intervals), (tuple(seconds), ()))
        self.refused(lines, "no summary of the run; end a run with Ctrl-C, so that it writes one")

    def test_many(self) -> None:
        """If there are too many probes for a chart, none is kept."""
        text = "".join(
            probe(number, ProbeOutcome(OutcomeKind.REPLY, number, 32, MS))
            for number in range(MAX_PROBES + 1)
        )
        (found,) = read(text + summary())
        self.assertEqual(found.probes, ())

    def test_cut(self) -> None:
        """Truncated NDJSON is refused, with a remedy."""
        reply = probe(MS, ProbeOutcome(OutcomeKind.REPLY, 0, 32, MS))
        self.refused(
            reply,
            "no summary of udp://lab1:7; end a run with Ctrl-C, so that it writes one",
        )
        self.refused(
            reply + reply[:20],
            "line 2: not valid JSON, or truncated (input data was truncated); "
            "measure again, with -o json --out FILE",
        )
        self.refused(
            reply + "5\n",
            "line 2: not an echoproto measurement (expected object, got int); "
            "measure again, with -o json --out FILE",
        )


#: Valid inputs, in which the fuzz tests change values.
GOOD = [
    pinged(1),
    reportDocument([storedResult(0, 0), storedVerification()]),
    {"type": "summary", **pinged(1)["targets"][0]},
    {"type": "summary", **loadDocument(loadResult(service=histogramOf(0)))},
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


class FuzzTests(SynchronousTestCase):
    """Any file is read or refused in one line, and its results can be used."""

    def tried(self, text: str) -> None:
        try:
            found = read(text)
            json.dumps(reportDocument(found))
            resultColumns(found)
            mergeResults(found)
            compare(found[0], found[-1])
        except ReportError as error:
            self.assertNotIn("\n", str(error))

    @given(st.text())
    def test_text(self, text: str) -> None:
        """Any text."""
        self.tried(text)

    @given(JSON)
    def test_json(self, values: Any) -> None:
        """Any JSON."""
        self.tried(json.dumps(values))

    @given(st.data())
    def test_changed(self, data: st.DataObject) -> None:
        """A measurement in which any value is changed or missing."""
        document = copy.deepcopy(data.draw(st.sampled_from(GOOD)))
        within: Any = document
        while True:
            keys = list(within) if isinstance(within, dict) else list(range(len(within)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(within[key], (dict, list)) or not within[key] or data.draw(LEAVE):
                break
            within = within[key]
        if data.draw(st.booleans()):
            del within[key]
        else:
            within[key] = data.draw(JSON | st.integers(0, 1 << 64))
        self.tried(json.dumps(document))

    @given(st.data())
    def test_cut(self, data: st.DataObject) -> None:
        """A truncated measurement, or one with a part overwritten."""
        text = json.dumps(
            data.draw(st.sampled_from(GOOD)), indent=data.draw(st.sampled_from([None, 1]))
        )
        at = data.draw(st.integers(0, len(text)))
        self.tried(text[:at])
        self.tried(text[:at] + data.draw(st.text(max_size=4)) + text[at + 4 :])


LEAVE = st.sampled_from([True, False, False, False])
