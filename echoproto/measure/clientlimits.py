"""
The ways in which a client limits its figures, in words.
"""

from __future__ import annotations

#: Where and why a reply was dropped, and the remedy.
DROPPED_REMEDY = "by the client's full receive buffer; raise net.core.rmem_max"


def heldUpLimit(time: int) -> str:
    """The process did not run for so many nanoseconds."""
    return f"this process was held up for {time / 1e6:.0f} ms at a time"
