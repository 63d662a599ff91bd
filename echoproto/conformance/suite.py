"""Every check, in order: the first one of a carrier shows whether the server answers at all."""

from __future__ import annotations

from collections.abc import Sequence

from echoproto.conformance.checks import (
    backpressure,
    closing,
    concurrency,
    datagrams,
    loops,
    streams,
)
from echoproto.conformance.registry import registered
from echoproto.conformance.results import Check
from echoproto.text.suggestion import suggestion

#: The name of the first check of each carrier.
ANSWERS = "answers"

#: The modules in the order of their checks.
MODULES = (streams, closing, backpressure, concurrency, datagrams, loops)


def _place(check: Check) -> tuple[str, bool, int]:
    names = [module.__name__ for module in MODULES]
    return check.carrier, check.last, names.index(check.function.__module__)


CHECKS: Sequence[Check] = tuple(sorted(registered, key=_place))


def chosen(carriers: Sequence[str], only: Sequence[str] = (), risky: bool = False) -> list[Check]:
    """
    The checks to run.

    :param carriers: ``tcp`` and ``udp``, or one of them.
    :param only: names of checks; all if empty. The first one of each carrier always runs.
    :param risky: whether to include checks that could start a loop or a flood.
    :raise ValueError: a name is unknown on these carriers, or its check is risky; the message is
        one line.
    """
    possible = [check for check in CHECKS if check.carrier in carriers and check.risky <= risky]
    names = [check.name for check in possible]
    for name in only:
        if name not in names:
            raise ValueError(_whyNotPossible(name, carriers, names))
    return [check for check in possible if not only or check.name in (ANSWERS, *only)]


def _whyNotPossible(name: str, carriers: Sequence[str], possible: Sequence[str]) -> str:
    """Why a check cannot run, and the remedy."""
    found = [check for check in CHECKS if check.name == name]
    if any(check.carrier in carriers for check in found):
        return f"check {name!r} is risky; add --risky"
    if found:
        carrier = found[0].carrier
        return f"{name!r} is a check of {carrier}; add --carrier {carrier}"
    known = f" (checks: {', '.join(dict.fromkeys(possible))})"
    return f"unknown check {name!r}{suggestion(name, possible) or known}"
