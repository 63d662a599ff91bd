"""
The interface that every measurement has, whatever it measures.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

R = TypeVar("R")


class Measurement(Protocol[R]):
    """
    A measurement that is ready to start.

    :class:`~.ping.pinger.Pinger`, :class:`~.load.generator.LoadGenerator`,
    :class:`~.load.workers.LoadWorkerPool`, :class:`~.verify.verifier.StreamVerifier` and
    :class:`~echoproto.conformance.runner.ConformanceRunner` provide it.
    """

    @property
    def target(self) -> object:
        """The measured server: an ``ITarget``, or a name if it is measured in several ways."""

    @property
    def result(self) -> Deferred[R]:
        """Fires once with the result; fails if the server can never be measured."""

    def start(self) -> None:
        """Connect, and begin. Called once."""

    def stop(self) -> None:
        """End early: :attr:`result` fires with the figures so far."""
