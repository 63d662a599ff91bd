"""
The observer that writes log lines: one for each greeting, one for each connection at its end, one
for each datagram listener when it is closed. Client data is escaped.

Clients can cause these events as often as they like, and must not fill a disk: beyond :data:`LINES`
lines in an interval they are counted, refusals and unused connections always are, and
:meth:`LogObserver.report` logs the totals in one line each. So the number of lines per listener and
interval is bounded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from echoproto.protocols.observer import (
    CloseReason,
    ConnectionSummary,
    DatagramTotals,
    NullObserver,
)
from echoproto.server.config.listener import addressText
from echoproto.text.untrusted import escaped

#: Lines for closed connections and greetings of one listener in one interval, besides those of
#: totals: more than an operator reads; at worst 150 MB a day of closed connections, or 4 GB of the
#: longest greetings.
LINES = 100

#: Seconds from one report of totals to the next.
REPORT_INTERVAL = 10.0


class CountsByName(Counter[str]):
    """
    Counts by name: an object in JSON, and in a line ``80 too many connections, 8 no PROXY header``.
    """

    def __str__(self) -> str:
        counts = sorted(self.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{number} {name}" for name, number in counts) or "none"


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


@dataclass
class _Interval:
    """
    The events of one listener since the last report.

    :ivar lines: lines written, at most :data:`LINES`.
    :ivar endings: connections that ended without a line, by close reason.
    :ivar bytesReceived: bytes received on them.
    :ivar bytesSent: bytes sent on them.
    :ivar greetings: clients greeted without a line.
    :ivar refusals: connections refused, by reason.
    :ivar lastRefused: the client of the last of them.
    """

    lines: int = 0
    endings: CountsByName = field(default_factory=CountsByName)
    bytesReceived: int = 0
    bytesSent: int = 0
    greetings: int = 0
    refusals: CountsByName = field(default_factory=CountsByName)
    lastRefused: IAddress | None = None


class LogObserver(NullObserver):
    """
    Writes the events of one listener to a :class:`twisted.logger.Logger`.

    Its owner calls :meth:`report` every :data:`REPORT_INTERVAL` seconds, and once at the end. The
    fields of an event are ``event``, a constant name; ``listener``; and its figures, counts by name
    as a mapping. ``docs/reference/log.md`` lists them.

    :param listener: the name of the listener, with which each line begins, such as ``echo on tcp
        0.0.0.0:7``; it may be changed.
    :param log: the logger.
    :param faults: counts of the faults that happen on purpose, by kind.
    """

    def __init__(self, listener: str, log: Logger, faults: Counter[str] | None = None) -> None:
        self.listener = listener
        self._log = log
        self._interval = _Interval()
        self._faults: Counter[str] = Counter() if faults is None else faults
        self._loggedFaults: Counter[str] = Counter()
        self._refusedDatagrams: Counter[str] = Counter()
        self._datagramErrors: Counter[str] = Counter()

    # IObserver

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""
        if summary.ending is CloseReason.UNUSED or not self._takeLine():
            self._interval.endings[summary.ending.value] += 1
            self._interval.bytesReceived += summary.bytesReceived
            self._interval.bytesSent += summary.bytesSent
            return
        self._write(
            "ended",
            "from {peer} {ending} after {seconds:.3f} s, "
            "{bytesReceived} bytes in, {bytesSent} bytes out",
            peer=addressText(summary.peer),
            ending=summary.ending.value,
            seconds=summary.seconds,
            bytesReceived=summary.bytesReceived,
            bytesSent=summary.bytesSent,
        )

    def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
        """Not logged at once; see :meth:`report`."""
        self._interval.refusals[reason] += 1
        self._interval.lastRefused = peer

    def greeted(self, peer: IAddress | None, received: bytes) -> None:
        """See :class:`IObserver`."""
        if self._takeLine():
            self._write(
                "greeted",
                "from {peer} said: {said}",
                peer=addressText(peer),
                said=escaped(received),
            )
        else:
            self._interval.greetings += 1

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """See :class:`IObserver`."""
        self.report(totals)
        self._write(
            "closed",
            "closed: {received} datagrams in, {answered} answered; "
            "refused: {refused}; errors: {errors}"
            + ("; dropped by the kernel: {dropped}" if totals.dropped else ""),
            received=totals.received,
            answered=totals.answered,
            bytesReceived=totals.bytesReceived,
            bytesSent=totals.bytesSent,
            refused=CountsByName(+Counter(totals.refused)),
            errors=CountsByName(totals.errors),
            dropped=totals.dropped,
        )

    # Totals

    def report(self, totals: DatagramTotals | None = None) -> None:
        """
        Log the totals since the last call, one line for each kind that is not zero.

        :param totals: of a datagram listener, since it was opened.
        """
        interval, self._interval = self._interval, _Interval()
        if interval.endings:
            self._writeEndings(interval)
        if interval.greetings:
            clients = interval.greetings
            text = f"greeted {{clients}} more {_plural(clients, 'client')}"
            self._write("greetings", text, clients=clients)
        if interval.refusals:
            self._writeRefusals(interval)
        if totals is not None:
            self._reportDatagrams(totals)
        faults = CountsByName(self._faults - self._loggedFaults)
        self._loggedFaults = Counter(self._faults)
        if faults:
            self._write("faults", "faults on purpose: {faults}", faults=faults)

    def _writeEndings(self, interval: _Interval) -> None:
        connections = sum(interval.endings.values())
        self._write(
            "endings",
            f"ended {{connections}} more {_plural(connections, 'connection')}: {{endings}}; "
            "{bytesReceived} bytes in, {bytesSent} bytes out",
            connections=connections,
            endings=interval.endings,
            bytesReceived=interval.bytesReceived,
            bytesSent=interval.bytesSent,
        )

    def _writeRefusals(self, interval: _Interval) -> None:
        connections = sum(interval.refusals.values())
        self._write(
            "refused",
            f"refused {{connections}} {_plural(connections, 'connection')}: {{reasons}}; "
            "the last from {peer}",
            connections=connections,
            reasons=interval.refusals,
            peer=addressText(interval.lastRefused),
        )

    def _reportDatagrams(self, totals: DatagramTotals) -> None:
        refused = CountsByName(Counter(totals.refused) - self._refusedDatagrams)
        errors = CountsByName(Counter(totals.errors) - self._datagramErrors)
        self._refusedDatagrams = Counter(totals.refused)
        self._datagramErrors = Counter(totals.errors)
        datagrams, faults = sum(refused.values()), sum(errors.values())
        parts = []
        if datagrams:
            parts.append(f"refused {{datagrams}} {_plural(datagrams, 'datagram')}: {{refused}}")
        if faults:
            had = "" if datagrams else "had "
            parts.append(f"{had}{faults} {_plural(faults, 'error')}: {{errors}}")
        if parts:
            text = "; ".join(parts)
            self._write(
                "datagrams refused", text, datagrams=datagrams, refused=refused, errors=errors
            )

    def _takeLine(self) -> bool:
        """Whether one more line may be written in this interval; counts it."""
        if self._interval.lines >= LINES:
            return False
        self._interval.lines += 1
        return True

    def _write(self, event: str, text: str, **fields: object) -> None:
        # Never a field "message": Twisted's legacy observers would take it for the line.
        self._log.info("{listener} " + text, event=event, listener=self.listener, **fields)
