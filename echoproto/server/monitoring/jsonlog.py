"""
The log as JSON lines, for programs that read it::

    twistd -n --logger=echoproto.server.monitoring.jsonlog.jsonLines echoproto

One event is one object on one line of standard output, written out at once: ``time`` (ISO 8601, UTC, microseconds),
``level``, ``namespace`` and ``text``, the line as people would read it; ``failure`` where there is one, its
traceback. What our listeners tell has fields besides: see :class:`echoproto.server.monitoring.log.LogObserver`.

Standard output that is closed or full costs lines, never the program. One that nobody reads holds the
program up once the pipe is full, as it does with Twisted's own log.

It knows nothing of the services: any event of :mod:`twisted.logger` will do. Twisted has JSON of its own, but
it is a dump of the event to be loaded again, not one to be read by others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from math import isfinite
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, LogPublisher, eventAsText, formatEvent
from twisted.python.reflect import safe_str
from zope.interface import implementer


def jsonLines() -> ILogObserver:
    """
    What ``twistd --logger`` calls: an observer that writes to standard output.

    The stream is taken now: later Twisted puts another in its place, which writes to the log.
    """
    # A program that was started with standard output closed has none: then into nothing.
    return JSONLines(sys.stdout) if sys.stdout is not None else LogPublisher()


@implementer(ILogObserver)
class JSONLines:
    """
    Writes each event as a line of JSON; never raises.

    :param out: where to; takes text, of which only ASCII is written.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        line = json.dumps(asObject(event)) + "\n"
        # ValueError: the stream is closed. Who would be told of either?
        with suppress(OSError, ValueError):
            self._out.write(line)
            self._out.flush()


def asObject(event: LogEvent) -> dict[str, Any]:
    """
    What is told of ``event``, by name; all of it can be written as JSON. Only an event that names itself in a field
    ``event`` shows its other fields.
    """
    told = {
        "time": _timeText(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", None),
        "namespace": event.get("log_namespace"),
        "text": formatEvent(event),
    }
    if "log_failure" in event:
        told["failure"] = _traceback(event)
    if "event" in event:
        fields = {name: _plain(each) for name, each in event.items() if not name.startswith("log_")}
        # The second time for its values, the first for its place.
        told = {**told, **fields, **told}
    return told


def _timeText(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def _traceback(event: LogEvent) -> str:
    # By way of the whole event's text, which is proof against errors whose own text fails.
    alone = {"log_failure": event["log_failure"]}
    return eventAsText(alone, includeTimestamp=False, includeSystem=False).strip()


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: a scalar, one level of mapping, or text."""
    if isinstance(value, Mapping):
        return {safe_str(name): _scalar(each) for name, each in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    # JSON has no infinity and no NaN.
    if isinstance(value, float) and isfinite(value):
        return value
    return safe_str(value)
