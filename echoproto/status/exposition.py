"""
The text format of Prometheus, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf

from echoproto.status.histogram import Histogram

#: The names of the labels of a sample, with their values.
Labels = Mapping[str, str]


def familyText(
    name: str, kind: str, text: str, samples: Iterable[tuple[Labels, float | Histogram]]
) -> str:
    """
    The lines of one metric.

    :param name: its name; that of a counter ends in ``_total``.
    :param kind: ``counter``, ``gauge`` or ``histogram``.
    :param text: its help text, one sentence.
    :param samples: its values by label; histograms if it is one.
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        if isinstance(value, Histogram):
            lines += _histogramLines(name, labels, value)
        else:
            lines.append(_line(name, labels, value))
    return "\n".join(lines) + "\n"


def _histogramLines(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    for bound, count in histogram.cumulative():
        limit = "+Inf" if bound == inf else str(bound)
        yield _line(f"{name}_bucket", {**labels, "le": limit}, count)
    yield _line(f"{name}_sum", labels, histogram.sum)
    yield _line(f"{name}_count", labels, histogram.count)


def _line(name: str, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{label}="{_quoted(labels[label])}"' for label in sorted(labels))
    return f"{name}{{{pairs}}} {float(value)}" if pairs else f"{name} {float(value)}"


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
