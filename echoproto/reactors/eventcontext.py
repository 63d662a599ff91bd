"""The log context of a descriptor's events, which costs nothing unless something is logged."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ILoggingContext
from twisted.python import log


class EventContext(dict[Any, Any]):
    """
    The context (``twisted.python.context``) of a descriptor's events.

    ``callWithLogger`` makes one for every event; this one is kept with its descriptor, and computes
    the log prefix when something is logged.

    :param reactor: the direct reactor.
    :param descriptor: the descriptor.
    """

    __slots__ = ("_reactor", "descriptor")

    def __init__(self, reactor: Any, descriptor: ILoggingContext) -> None:
        self._reactor = reactor
        self.descriptor = descriptor

    def __missing__(self, key: object) -> Any:
        if key is not log.ILogContext:
            raise KeyError(key)
        try:
            prefix = self.descriptor.logPrefix()
        except Exception:  # noqa: BLE001 - an application's; callWithLogger does the same
            prefix = "(buggy logPrefix method)"
        return {**self._reactor.outerLog, "system": prefix}
