"""The certificates of all open listeners: read again, replaced, and checked together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from echoproto.server.certificates.tlsfiles import TLSFiles

if TYPE_CHECKING:
    from echoproto.server.certificates.servercontext import ServerContext


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
            self.warnOfInvalid()

    def warnOfInvalid(self) -> None:
        """Log each certificate that has expired, or is not valid yet."""
        now = time.time()
        certificates = {one.path: one for context in self.contexts for one in context.certificates}
        for certificate in certificates.values():
            reason = certificate.whyInvalid(now)
            if reason is not None:
                self._log.warn("{reason}", reason=reason)

    def loaded(self) -> list[TLSFiles]:
        """The certificates in use, with their contents, for :meth:`replace` in another process."""
        return [context.loaded for context in self.contexts]

    def replace(self, files: Iterable[TLSFiles]) -> None:
        """Use what another process has read, for new connections."""
        byName = {name: name for name in files}
        for context in self.contexts:
            context.load(byName[context.files])
