"""
The text format of Prometheus, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import inf

from echoproto.status.histogram import Histogram

#: The names of the labels of a sample, with their values.
Labels = Mapping[str, str]


class LabelText:
    """
    Labels in the text format, made once for all samples that have them.

    :param labels: the names with their values.
    """

    def __init__(self, labels: Labels) -> None:
        self._pairs = ",".join(f'{name}="{_quoted(labels[name])}"' for name in sorted(labels))
        self.text = f"{{{self._pairs}}}" if labels else ""

    @property
    def bucketText(self) -> str:
        """The beginning of those of a bucket of a histogram, whose bound follows."""
        return f'{{{self._pairs}{"," if self._pairs else ""}le="'


def familyText(
    name: str, kind: str, text: str, samples: Iterable[tuple[Labels | LabelText, float | Histogram]]
) -> str:
    """
    The lines of one metric.

    :param name: its name; that of a counter ends in ``_total``.
    :param kind: ``counter``, ``gauge`` or ``histogram``.
    :param text: its help text, one sentence.
    :param samples: its values by label; histograms if it is one.
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for found, value in samples:
        labels = found if isinstance(found, LabelText) else LabelText(found)
        if isinstance(value, Histogram):
            lines += _histogramLines(name, labels, value)
        else:
            lines.append(f"{name}{labels.text} {float(value)}")
    return "\n".join(lines) + "\n"


def _histogramLines(name: str, labels: LabelText, histogram: Histogram) -> Iterator[str]:
    bucket = f"{name}_bucket{labels.bucketText}"
    for bound, count in histogram.cumulative():
        yield f'{bucket}{_boundText(bound)}"}} {count}.0'
    yield f"{name}_sum{labels.text} {float(histogram.sum)}"
    yield f"{name}_count{labels.text} {float(histogram.count)}"


@lru_cache(1024)
def _boundText(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
