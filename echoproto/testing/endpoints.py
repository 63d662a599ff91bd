"""Client endpoints whose connections are in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.testing.streams import CLIENT_ADDRESS, SERVER_ADDRESS, StreamPair


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """
    Connects each client to a protocol built by a server's factory.

    :param serverFactory: builds the servers; if it returns ``None`` the connection is refused.
    :ivar pairs: the connections made so far.
    """

    def __init__(self, serverFactory: IProtocolFactory) -> None:
        self._serverFactory = serverFactory
        self.pairs: list[StreamPair] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``; fires or fails at once."""
        server = self._serverFactory.buildProtocol(CLIENT_ADDRESS)
        if server is None:
            return fail(ConnectionRefusedError())
        client: Any = protocolFactory.buildProtocol(SERVER_ADDRESS)
        self.pairs.append(StreamPair(client, server))
        return succeed(client)


def endpointTo(serverFactory: IProtocolFactory) -> tuple[MemoryEndpoint, list[StreamPair]]:
    """An endpoint whose connections are served by ``serverFactory``, and the list of its pairs."""
    endpoint = MemoryEndpoint(serverFactory)
    return endpoint, endpoint.pairs


verifyClass(IStreamClientEndpoint, MemoryEndpoint)
