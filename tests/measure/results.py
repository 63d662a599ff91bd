"""Results for tests of what is said of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from echoproto.measure.loadresult import LoadPlan, LoadResult
from echoproto.measure.spread import Spread

MS = 1_000_000


def spreadOf(*times: int) -> Spread:
    """These times, in milliseconds."""
    made = Spread()
    for each in times:
        made.add(each * MS)
    return made


def loaded(**values: Any) -> LoadResult:
    """A load of two seconds, of which nine of ten messages were answered; what is given instead."""
    usual: dict[str, Any] = {
        "target": "tcp://lab1:7",
        "plan": LoadPlan(),
        "duration": 2_000 * MS,
        "sent": 10,
        "received": 9,
        "wrong": 0,
        "bytesSent": 20_480,
        "bytesReceived": 18_432,
        "response": Spread(),
        "service": spreadOf(1, 2, 3),
        "late": Spread(),
        "connecting": spreadOf(1),
        "errors": Counter(),
        "busy": 0.5,
    }
    return LoadResult(**{**usual, **values})
