"""
The state of the program, for monitoring: what a status listener shows.

A module of its own, because the program implements the interface without importing a web server.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

#: Idle connections of a status listener at once: orchestrators, balancers and scrapers that keep
#: theirs, an operator. A further one replaces the one that has been idle longest, so that idle
#: connections cannot make probes fail.
MAXIMUM_CONNECTIONS = 128


class IState(Interface):
    """The state of the program."""

    def ready() -> bool:
        """Whether the program does its work."""

    def notReadyReason() -> str:
        """Why it does not, in a word or two: ``starting``, ``draining``."""

    def metrics() -> bytes | Deferred[bytes]:
        """The metrics, in the text format of Prometheus."""
