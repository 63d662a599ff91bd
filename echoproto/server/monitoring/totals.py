"""The totals of stream listeners, which are logged at the stop as those of datagrams are."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from echoproto.server.monitoring.counters import MonitoredListener
from echoproto.server.monitoring.log import CountsByName

_log = Logger()


def logStreamTotals(listeners: Iterable[MonitoredListener]) -> None:
    """
    Log one line for each stream listener. The fields of the event are ``event``, which is
    ``closed``, ``listener``, ``connections``, ``endings``, ``refused``, ``bytesReceived`` and
    ``bytesSent``.
    """
    for listener in listeners:
        if listener.datagrams is None:
            counts = listener.counts
            _log.info(
                "{listener} closed: {connections} connections; ended: {endings}; "
                "refused: {refused}; {bytesReceived} bytes in, {bytesSent} bytes out",
                event="closed",
                listener=listener.name,
                connections=counts.accepted,
                endings=CountsByName(+counts.ended),
                refused=CountsByName(+counts.refused),
                bytesReceived=listener.bytesReceived,
                bytesSent=listener.bytesSent,
            )
