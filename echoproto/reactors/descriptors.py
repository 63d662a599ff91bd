"""The epoll reactor's set of descriptors, with less work for each change."""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IFileDescriptor, IReadDescriptor, IWriteDescriptor


class DescriptorsReactor(EPollReactor):
    """Registers descriptors, and remembers which are removed while events are handled."""

    # Of Twisted's base class, which does not declare them.
    _reads: set[int]
    _writes: set[int]
    _selectables: dict[int, Any]

    #: By their numbers the descriptors that were removed since the kernel reported the events which
    #: are being handled; the first if there were several. Its events are not for a later one.
    _removed: dict[int, Any] | None = None

    def _remove(self, xer: IFileDescriptor, *arguments: object) -> None:
        number = xer.fileno()
        if number < 0:
            # It has been closed.
            number = next((key for key, known in self._selectables.items() if known is xer), number)
        owner = self._selectables.get(number)
        super()._remove(xer, *arguments)
        if self._removed is not None and owner is not None and number not in self._selectables:
            self._removed.setdefault(number, owner)

    def removeReader(self, reader: IReadDescriptor) -> None:
        """See ``IReactorFDSet``. Closing a connection calls it several times: once is enough."""
        number = reader.fileno()
        if number in self._reads and number not in self._writes:
            owner = self._selectables.pop(number)
            if self._removed is not None:
                self._removed.setdefault(number, owner)
            self._poller.unregister(number)
            self._reads.remove(number)
        elif number in self._reads or number < 0 or reader in self._continuousPolling._readers:
            super().removeReader(reader)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        """See ``IReactorFDSet``, and :meth:`removeReader`."""
        number = writer.fileno()
        if number in self._writes or number < 0 or writer in self._continuousPolling._writers:
            super().removeWriter(writer)
