"""
When the probes of a ping are due, and by how much this process is late for them.
"""

from __future__ import annotations

from echoproto.protocols.deadlines import LATENESS
from echoproto.text.units import SECOND

#: Nanoseconds after a pause of this process in which no probe is sent: memory is read in again, and
#: processes run that had to wait, which would make its round trip longer than others.
SETTLING_TIME = 30_000_000


class ProbeSchedule:
    """
    Times in nanoseconds. A probe is due at a multiple of the interval after the first one, whatever
    happens, so that the probes of several targets stay spread.

    :param interval: between two probes.
    :ivar due: when the next probe is due.
    :ivar heldUp: the longest time by which a probe was late, if this process was held up.
    :ivar lateness: the time by which the probe that is due now is late.
    :ivar delayed: the time by which late probes have delayed those after them.
    """

    def __init__(self, interval: int) -> None:
        self.due = self.heldUp = self.delayed = self.lateness = 0
        self._interval = interval
        # Whether the next probe may be due later: not the first one, and not one that was already.
        self._mayWait = False

    def called(self, now: int) -> None:
        """The time of the next probe has come, now."""
        self.lateness = now - self.due
        if self._isHeldUp:
            self.heldUp = max(self.heldUp, self.lateness)

    def postpone(self) -> bool:
        """
        After a pause of this process, make the probe that is due now due at a later time, unless
        that was done before; returns whether it is.
        """
        if not self._isHeldUp or not self._mayWait:
            self._mayWait = True
            return False
        self._mayWait = False
        self.delayed += self._skip(self.lateness + SETTLING_TIME + self._interval - 1)
        return True

    @property
    def _isHeldUp(self) -> bool:
        return self.lateness > LATENESS * SECOND

    def advance(self, now: int) -> int:
        """The probe was sent: the time until the next one, negative if that is overdue."""
        due = self.due = self.due + self._interval
        if self._isHeldUp:
            self._skip(now - due)
        # Do not send missed probes in a burst.
        self.due = max(self.due, now - self._interval)
        # The wait for a connection delays probes, too.
        self.delayed += max(min(self.due - due, self.lateness), 0)
        self.lateness = 0
        return self.due - now

    def _skip(self, time: int) -> int:
        """Skip the probes of a time; returns that of the whole intervals in it."""
        skipped = max(time, 0) // self._interval * self._interval
        self.due += skipped
        return skipped
