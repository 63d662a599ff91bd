"""
The text format of Prometheus, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    header = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    return header + "".join(sampleText(name, labels, value) for labels, value in samples)


def sampleText(name: str, labels: Labels | LabelText, value: float | Histogram) -> str:
    """
    The lines of one value of a metric.

    :param name: the name of the metric.
    :param labels: the labels of the value.
    :param value: a number, or a histogram.
    """
    found = labels if isinstance(labels, LabelText) else LabelText(labels)
    if not isinstance(value, Histogram):
        return f"{name}{found.text} {float(value)}\n"
    bucket = f"{name}_bucket{found.bucketText}"
    buckets = "".join(
        f'{bucket}{_boundText(bound)}"}} {count}.0\n' for bound, count in value.cumulative()
    )
    return (
        f"{buckets}{name}_sum{found.text} {float(value.sum)}\n"
        f"{name}_count{found.text} {float(value.count)}\n"
    )


@lru_cache(1024)
def _boundText(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
