"""
The rates that a load tried one after the other, as lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence

from echoproto.measure.load.ramp import RampStep
from echoproto.report.text import intervalLine


def heldRate(steps: Sequence[RampStep]) -> float:
    """The highest rate that was held; 0 if none was."""
    return max((step.rate for step in steps if not step.failures), default=0.0)


def rampLines(steps: Sequence[RampStep]) -> list[str]:
    """A line for each rate, and one for the highest that was held."""
    lines = [
        f"at {step.rate:.1f}/s: {intervalLine(step.counts.interval(0), step.width)}"
        f"{'; not held: ' if step.failures else ''}{', '.join(step.failures)}"
        for step in steps
    ]
    if lines:
        held = heldRate(steps)
        lines.append(f"highest rate that held: {held:.1f}/s" if held else "no rate was held")
    return lines
