"""
The faults of listeners: ``fault=`` in a description, and ``--fault`` for those without it.

Imported by servers with faults only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from echoproto.errors import StartupError
from echoproto.protocols.faults.faultplan import (
    DATAGRAM_FAULTS,
    STREAM_FAULTS,
    FaultPlan,
    parseFaults,
)
from echoproto.server.config.listener import Listener


def _possible(listener: Listener) -> frozenset[str]:
    return DATAGRAM_FAULTS if listener.carrier == "udp" else STREAM_FAULTS


#: The faults in a description. They contain no colon.
_FAULTS = re.compile(r":fault=([^:]*)")


def splitFaults(text: str) -> tuple[str, str]:
    """A description without its ``fault=``, and the faults."""
    before, faults, after = _FAULTS.split(text, 1)
    return before + after, faults


def withFaults(listeners: Sequence[Listener], faults: str, text: str) -> list[Listener]:
    """
    The listeners of a description with ``fault=``.

    :param text: the description.
    :raise ValueError: ``faults`` are invalid, or none of the listeners can have one of them.
    """
    try:
        if any(listener.service == "status" for listener in listeners):
            raise ValueError("a status listener has no faults")
        return _limited(listeners, parseFaults(faults))
    except ValueError as error:
        raise ValueError(f"invalid listener {text!r}: {error}") from error


def withDefaultFaults(
    groups: Sequence[Sequence[Listener]], plan: FaultPlan | None, seed: int | None
) -> tuple[list[list[Listener]], int]:
    """
    The listeners of a server, with the faults of ``--fault`` where there is no ``fault=``, and the
    seed, which is random if it is ``None``.

    :raise StartupError: ``plan`` has a fault that none of them can have.
    """
    without = [listener for group in groups for listener in group if _takesDefault(listener)]
    try:
        limited = _limited(without, plan or FaultPlan())
    except ValueError as error:
        raise StartupError(f"--fault: {error}") from error
    changed = dict(zip(map(id, without), limited, strict=True))
    if seed is None:
        seed = int.from_bytes(os.urandom(3), "big")
    return [[changed.get(id(listener), listener) for listener in group] for group in groups], seed


def _takesDefault(listener: Listener) -> bool:
    return listener.service != "status" and listener.faults is None


def _limited(listeners: Sequence[Listener], plan: FaultPlan) -> list[Listener]:
    impossible = plan.kinds.difference(*map(_possible, listeners))
    if impossible:
        kind = min(impossible)
        carrier = "datagrams" if kind in DATAGRAM_FAULTS else "streams"
        raise ValueError(f"{kind}: possible for {carrier} only")
    return [replace(listener, faults=plan.only(_possible(listener))) for listener in listeners]
