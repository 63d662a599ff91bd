"""
When the probes of a ping are due, and by how much this process is late for them.
"""

from __future__ import annotations

from echoproto.protocols.deadlines import LATENESS
from echoproto.units import SECOND


class ProbeSchedule:
    """
    Times in nanoseconds.

    :param interval: between two probes.
    :ivar due: when the next probe is due.
    :ivar heldUp: the longest time by which a probe was late, if this process was held up.
    :ivar lateness: the time by which the probe that is due now is late.
    :ivar delayed: the time by which late probes have delayed those after them.
    """

    def __init__(self, interval: int) -> None:
        self.due = self.heldUp = self.delayed = self.lateness = 0
        self._interval = interval

    def called(self, now: int) -> None:
        """The time of the next probe has come, now."""
        self.lateness = now - self.due
        if self.lateness > LATENESS * SECOND:
            self.heldUp = max(self.heldUp, self.lateness)

    def advance(self, now: int) -> int:
        """The probe was sent: the time until the next one, negative if that is overdue."""
        due = self.due + self._interval
        # After a pause of this process, do not send the missed probes in a burst.
        self.due = max(due, now - self._interval)
        # The wait for a connection delays probes, too.
        self.delayed += max(min(self.due - due, self.lateness), 0)
        self.lateness = 0
        return self.due - now
