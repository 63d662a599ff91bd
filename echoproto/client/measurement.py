"""
The interface that every measurement has, whatever it measures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

P = ParamSpec("P")
R = TypeVar("R")


class Measurement(Protocol[R]):
    """
    A measurement that is ready to start.

    The pingers, loads and verifiers of :mod:`echoproto.measure`, and the
    :class:`~echoproto.conformance.runner.ConformanceRunner`, provide it.
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


def startedBy(prepare: Callable[P, Awaitable[Measurement[R]]]) -> Callable[P, Deferred[R]]:
    """
    Make the function that prepares a measurement, starts it and returns its result.

    :param prepare: returns a ``Deferred`` of a measurement.
    :return: a function with the parameters of ``prepare``. Its ``Deferred`` fails as that of
        ``prepare`` does; otherwise it is :attr:`Measurement.result`.
    """

    @wraps(prepare, assigned=("__module__",))
    def run(*arguments: P.args, **named: P.kwargs) -> Deferred[R]:
        preparing = prepare(*arguments, **named)

        async def measure() -> R:
            measurement = await preparing
            measurement.start()
            return await measurement.result

        return Deferred.fromCoroutine(measure())

    return run
