"""Assignments of load workers, for tests."""

from __future__ import annotations

from typing import Any

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import parseTarget
from echoproto.measure.load.messages import LoadAssignment
from echoproto.measure.load.plan import LoadPlan


def makeAssignment(plan: LoadPlan | None = None, **values: Any) -> LoadAssignment:
    """A closed loop of a single worker, except for these values."""
    defaults: dict[str, Any] = {
        "target": parseTarget("127.0.0.1:7"),
        "plan": plan or LoadPlan(connections=1),
        "connect": ConnectOptions(),
        "index": 0,
    }
    return LoadAssignment(**{**defaults, **values})
