"""The certificates of all open listeners: read again, replaced, and checked together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.logger import Logger

from echoproto.server.certificates.servercontext import ServerContext
from echoproto.server.certificates.tlsfiles import TLSFiles


class CertificateSet:
    """
    The certificates of all listeners of a server.

    :ivar contexts: one for each listener with TLS.
    """

    _log = Logger()

    def __init__(self, contexts: Sequence[ServerContext]) -> None:
        self.contexts = contexts

    def reload(self, read: Callable[[TLSFiles], TLSFiles] = TLSFiles.read) -> None:
        """
        Read the files again, for new connections; if one cannot be used, its current content stays.

        :param read: reads them, or raises ``ValueError`` with the reason.
        """
        wrong: set[str] = set()
        for context in self.contexts:
            try:
                context.load(read(context.files))
            except ValueError as error:
                wrong.add(str(error))
        for reason in sorted(wrong):
            self._log.error("the current certificates stay in use: {reason}", reason=reason)
        if not wrong:
            number = len(self.contexts)
            self._log.info("certificates read again; listeners with TLS: {number}", number=number)

    def loaded(self) -> list[TLSFiles]:
        """The certificates in use, with their contents, for :meth:`replace` in another process."""
        return [context.loaded for context in self.contexts]

    def replace(self, files: Iterable[TLSFiles]) -> None:
        """Use what another process has read, for new connections."""
        byName = {name: name for name in files}
        for context in self.contexts:
            context.load(byName[context.files])
