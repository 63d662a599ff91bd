"""The site of a monitor: its live page, the data of that, and the probes of any server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web import http

from echoproto.monitor.monitor import Monitor
from echoproto.monitor.probe import ProbePage
from echoproto.monitor.prober import Prober
from echoproto.status.pages import MakePage, Page
from echoproto.status.site import StatusSite
from echoproto.status.turns import GradualText

_HTML = Path(__file__).with_name("page.html")


def monitorSite(reactor: IReactorTime, monitor: Monitor, web: bool, probe: bool) -> StatusSite:
    """
    The site of the status listener of a monitor.

    :param reactor: of the program.
    :param web: whether it has the live page.
    :param probe: whether it has the page that probes any server.
    """
    pages: dict[bytes, MakePage] = {}
    if web:
        pages.update(webPages(monitor, reactor))
    if probe:
        pages[b"/probe"] = ProbePage(reactor, time.monotonic_ns, os.urandom(4))
    return StatusSite(reactor, monitor, pages)


def webPages(monitor: Monitor, clock: IReactorTime) -> Mapping[bytes, MakePage]:
    """
    The page that shows the state of every target, and the JSON that it reads.

    :param clock: calls later.
    :return: by their paths; see :class:`~echoproto.status.site.StatusSite`.
    """
    html = Page(http.OK, _HTML.read_bytes(), b"text/html; charset=utf-8")

    document = GradualText(clock, lambda: _documentParts([*monitor.probers()]))

    def data(request: http.Request) -> Deferred[Page]:
        making = document.request()
        return making.addCallback(lambda text: Page(http.OK, text, b"application/json"))

    return {b"/": lambda request: html, b"/targets.json": data}


def _documentParts(probers: Sequence[Prober]) -> Iterator[bytes]:
    yield b'{"targets": ['
    for number, prober in enumerate(probers):
        yield (b", " if number else b"") + json.dumps(_stateOf(prober)).encode()
    yield b"]}"


def _stateOf(prober: Prober) -> Mapping[str, Any]:
    """
    The state of a target: ``waiting`` for the first result, ``up``, or ``down`` while probes are
    lost; times in nanoseconds. ``hour`` is :meth:`.LastHour.rows`.
    """
    counters, settings = prober.counters, prober.settings
    state = "down" if counters.bursts.length else "up"
    isKnown = counters.lastTook is not None and counters.lastTook >= 0
    return {
        "name": settings.target.text,
        "labels": dict(settings.labels),
        "address": counters.address,
        "state": state if counters.sent else "waiting",
        "rtt": counters.lastTook if isKnown else None,
        "reason": counters.reason,
        "hour": counters.hour.rows(prober.monotonicNs()),
    }
