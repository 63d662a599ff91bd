"""
TLS that closes each direction separately, as TCP does, so that a stream service loses no data at
the end. It uses the standard library's :mod:`ssl`.

A close_notify closes the direction of its sender: "This does not have any effect on its read side
of the connection" (RFC 8446 section 6.1). TLS 1.2 demanded that pending data be discarded (RFC 5246
section 7.2.1), which 1.3 withdrew because it truncates; here both continue to write.

Twisted's TLS transports close both directions at once. At the peer's close_notify they discard
pending replies, at its FIN the queue. Their ``loseWriteConnection`` is that of TCP, a FIN without
close_notify. And a paused producer keeps them open for ever.

:class:`TLSStreamFactory` wraps the factory of a service::

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("server.pem")
    reactor.listenTCP(12345, TLSStreamFactory(lambda: context, EchoFactory(reactor), reactor))

It works on any stream transport: :mod:`.tlsstream` is its protocol, :mod:`.tlstransport` the
transport of the wrapped protocol, and :mod:`.tlsengine` encrypts and decrypts between them.

It handles neither certificates nor time: the wrapped protocol resets a peer that takes too long.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import ClientFactory

from echoproto.transports.tlsengine import TLSEngine, TLSMemory
from echoproto.transports.tlsstream import TLSStream


class TLSStreamFactory(ClientFactory):
    """
    Wraps the protocols of another factory in TLS.

    :param currentContext: returns the context of the next connection; its protocol decides the
        role, client or server.
    :param wrappedFactory: builds the protocols on top of TLS.
    :param clock: schedules the handling of many small records; the reactor.
    :param hostname: for a client, the name or numeric address of the server: it is requested (SNI),
        and the certificate must be for it, if the context checks that.
    """

    noisy = False

    def __init__(
        self,
        currentContext: Callable[[], ssl.SSLContext],
        wrappedFactory: IProtocolFactory,
        clock: IReactorTime,
        hostname: str | None = None,
    ) -> None:
        self.currentContext = currentContext
        self.wrappedFactory = wrappedFactory
        self.clock = clock
        self.hostname = hostname
        self._memory = TLSMemory()

    def doStart(self) -> None:
        """Start the wrapped factory."""
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """Stop the wrapped factory."""
        self.wrappedFactory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """A :class:`TLSStream`; ``None``, which closes, if the wrapped factory returns ``None``."""
        wrapped: Any = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else TLSStream(self, wrapped)

    def makeEngine(self) -> TLSEngine:
        """The engine of the next connection."""
        return TLSEngine(self._memory, self.currentContext(), self.hostname)
