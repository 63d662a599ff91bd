"""
The forms in which a load is written: text for people; JSON, NDJSON and CSV for programs.

Each makes lines of what :mod:`.load` tells it: ``second``, when one is over, and ``end``. Where they go is not its matter.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from echoproto.measure.intervals import Interval
from echoproto.measure.load.plan import LoadResult
from echoproto.report.document import loadValues
from echoproto.report.text import loadSummary


class Text:
    """A summary."""

    def second(self, interval: Interval) -> Iterator[str]:
        """Nothing."""
        return iter(())

    def end(self, result: LoadResult) -> Iterator[str]:
        """The summary."""
        yield loadSummary(result)


class JSON(Text):
    """One document."""

    def end(self, result: LoadResult) -> Iterator[str]:
        """The document."""
        yield json.dumps(loadValues(result), indent=2)


class NDJSON(Text):
    """A line of JSON for each second, then one for the whole."""

    def second(self, interval: Interval) -> Iterator[str]:
        """Its line."""
        yield json.dumps({"type": "interval", **interval.values()})

    def end(self, result: LoadResult) -> Iterator[str]:
        """The summary; the seconds are told already."""
        values = loadValues(result)
        del values["interval_ns"], values["intervals"]
        yield json.dumps({"type": "summary", **values})


class CSV(Text):
    """A row for each second."""

    _begun = False

    def second(self, interval: Interval) -> Iterator[str]:
        """Its row; the names of the columns before the first."""
        values = interval.values()
        if not self._begun:
            self._begun = True
            yield _row(values)
        yield _row(values.values())

    def end(self, result: LoadResult) -> Iterator[str]:
        """Nothing."""
        return iter(())


def _row(values: Any) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(values)
    return written.getvalue()


#: By their names.
LOAD_FORMS: dict[str, type[Text]] = {"text": Text, "json": JSON, "ndjson": NDJSON, "csv": CSV}
