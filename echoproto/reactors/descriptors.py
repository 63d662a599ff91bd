"""The epoll reactor's set of descriptors, with less work for each change."""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor


class DescriptorsReactor(EPollReactor):
    """Registers descriptors, and remembers which are new in this turn."""

    # Of Twisted's base class, which does not declare them.
    _reads: set[int]
    _writes: set[int]

    def __init__(self) -> None:
        # Descriptors that were registered since the kernel reported the events of this turn. Such
        # an event belongs to a descriptor that was closed, and had the same number.
        self._registered: set[int] = set()
        super().__init__()

    def _add(self, xer: Any, primary: set[int], other: set[int], *arguments: Any) -> None:
        number = xer.fileno()
        if number not in primary and number not in other:
            self._registered.add(number)
        super()._add(xer, primary, other, *arguments)

    def removeReader(self, reader: IReadDescriptor) -> None:
        """See ``IReactorFDSet``. Closing a connection calls it several times: once is enough."""
        number = reader.fileno()
        if number in self._reads and number not in self._writes:
            del self._selectables[number]
            self._poller.unregister(number)
            self._reads.remove(number)
        elif number in self._reads or number < 0 or reader in self._continuousPolling._readers:
            super().removeReader(reader)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        """See ``IReactorFDSet``, and :meth:`removeReader`."""
        number = writer.fileno()
        if number in self._writes or number < 0 or writer in self._continuousPolling._writers:
            super().removeWriter(writer)
