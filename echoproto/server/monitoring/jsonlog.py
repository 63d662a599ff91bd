"""
The log as JSON lines, for programs::

    twistd -n --logger=echoproto.server.monitoring.jsonlog.jsonLines echoproto

One event is one object on one line of standard output, written at once: ``time`` (ISO 8601, UTC,
microseconds), ``level``, ``namespace`` and ``text``, the line for people; ``failure``, if any, with
its traceback. Events of listeners have further fields: see
:class:`echoproto.server.monitoring.log.LogObserver`.

If standard output is closed, full or not read, lines are lost, and the program continues; see
:mod:`echoproto.server.monitoring.logstream` and :mod:`echoproto.server.monitoring.logerrors`.

Any event of :mod:`twisted.logger` is accepted. Twisted's own JSON is a dump of the event to be
loaded again, not meant for other programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from math import isfinite
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, LogPublisher, eventAsText, formatEvent
from twisted.python.reflect import safe_str
from zope.interface import implementer

from echoproto.server.monitoring.logstream import (
    GAP,
    MAX_SHARED_LINE,
    logStream,
    withoutMiddle,
)


def jsonLines(isShared: bool = False) -> ILogObserver:
    """
    For ``twistd --logger``: an observer that writes to standard output.

    The stream is taken now: later Twisted replaces it by one that writes to the log.

    :param isShared: whether other processes write there too; see :class:`JSONLines`.
    """
    # A program started with standard output closed has none: write nowhere.
    stream = logStream(isShared)
    return JSONLines(stream, isShared) if stream is not None else LogPublisher()


@implementer(ILogObserver)
class JSONLines:
    """
    Writes each event as a line of JSON.

    :param out: a text stream; only ASCII is written.
    :param isShared: whether other processes write there too: then the middle of the longest texts
        of an event is left out until its line has at most :data:`.logstream.MAX_SHARED_LINE` bytes.
    """

    def __init__(self, out: TextIO, isShared: bool = False) -> None:
        self._out = out
        self._isShared = isShared

    def __call__(self, event: LogEvent) -> None:
        """
        Write one event.

        :raise OSError: the line cannot be written.
        :raise ValueError: the stream is closed.
        """
        values = asObject(event)
        line = json.dumps(values) + "\n"
        while self._isShared and len(line) > MAX_SHARED_LINE and _shorten(values):
            line = json.dumps(values) + "\n"
        self._out.write(line)
        self._out.flush()


def _shorten(values: dict[str, Any]) -> bool:
    """Shorten the longest text by a quarter; false if none is long."""
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    longest = max(texts, key=lambda name: len(json.dumps(texts[name])))
    length = len(texts[longest]) * 3 // 4
    if length < len(GAP):
        return False
    values[longest] = withoutMiddle(texts[longest], length)
    return True


def asObject(event: LogEvent) -> dict[str, Any]:
    """
    The fields of ``event``, by name, as JSON values. Only an event with a field ``event``, which
    names it, shows its other fields.
    """
    values = {
        "time": _timeText(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", None),
        "namespace": event.get("log_namespace"),
        "text": formatEvent(event),
    }
    if "log_failure" in event:
        values["failure"] = _traceback(event)
    if "event" in event:
        fields = {
            name: _plain(value) for name, value in event.items() if not name.startswith("log_")
        }
        # The second time for its values, the first for its place.
        values = {**values, **fields, **values}
    return values


def _timeText(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def _traceback(event: LogEvent) -> str:
    # From the text of the whole event, which survives errors whose own text fails.
    alone = {"log_failure": event["log_failure"]}
    return eventAsText(alone, includeTimestamp=False, includeSystem=False).strip()


def _plain(value: object) -> Any:
    """``value`` as JSON: a scalar, one level of mapping, or text."""
    if isinstance(value, Mapping):
        return {safe_str(name): _scalar(item) for name, item in value.items()}
    return _scalar(value)


def _scalar(value: object) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    # JSON has no infinity and no NaN.
    if isinstance(value, float) and isfinite(value):
        return value
    return safe_str(value)
