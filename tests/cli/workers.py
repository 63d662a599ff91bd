"""Orders of a worker of a load, for tests."""

from __future__ import annotations

from typing import Any

from echoproto.cli.loadpipe import Orders
from echoproto.client.finding import Way
from echoproto.client.targets import parseTarget
from echoproto.measure.loadresult import LoadPlan


def ordered(plan: LoadPlan | None = None, **values: Any) -> Orders:
    """A closed loop alone; what is given instead."""
    usual: dict[str, Any] = {
        "target": parseTarget("127.0.0.1:7"),
        "plan": plan or LoadPlan(connections=1),
        "sizes": (64, 64),
        "way": Way(),
        "arrivals": "fixed",
        "rate": None,
        "index": 0,
        "of": 1,
    }
    return Orders(**{**usual, **values})
