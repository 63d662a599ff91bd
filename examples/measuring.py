"""
Measure an echo server from a program, and act on the figures.

    python examples/measuring.py udp://127.0.0.1:12345

It needs the extra ``measure``. The exit status is 1 if a probe was lost.
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from echoproto.measure.api import PingPlan, ping

MILLISECOND = 1_000_000


async def main(reactor: IReactorTime, target: str) -> None:
    plan = PingPlan(count=20, interval=10 * MILLISECOND)  # times are in nanoseconds
    result = await ping(reactor, target, plan)
    record = result.record
    print(f"{record.received} of {record.sent} replies")
    if record.times.count:
        print(f"median {record.times.percentile(50) / MILLISECOND:.3f} ms")
    if record.lost:
        raise SystemExit(1)


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["udp://127.0.0.1:12345"])
