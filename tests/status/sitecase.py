"""A status site in memory."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.status.site import StatusSite
from echoproto.status.state import IState
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS

METRICS = b"# HELP echoproto_draining 1 while stopping, else 0.\n"


@implementer(IState)
class State:
    """A state set by the test."""

    def __init__(self) -> None:
        self.unready = ""
        self.fault: Exception | None = None

    def ready(self) -> bool:
        return not self.unready

    def notReadyReason(self) -> str:
        return self.unready

    def metrics(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        return METRICS


class SiteTestCase(SynchronousTestCase):
    """A test case with a site in memory, and the log, which must stay empty."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.state = State()
        self.site = StatusSite(self.clock, self.state)
        self.site.doStart()
        self.addCleanup(self.site.doStop)
        self.log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)

    def connect(self) -> tuple[StreamPair, RecordingProtocol]:
        client = RecordingProtocol()
        return StreamPair(client, self.site.buildProtocol(CLIENT_ADDRESS)), client

    def response(self, data: bytes) -> bytes:
        """Send ``data`` and a FIN on a new connection, and return the response."""
        pair, client = self.connect()
        client.link.write(data)
        client.link.loseWriteConnection()
        pair.pump()
        self.assertIsInstance(pair.server.closed, ConnectionDone)
        client.link.loseConnection()
        pair.pump()
        return client.received

    def request(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the response to a request."""
        received = self.response(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        header = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): header[name] for name in header}, body

    def assertQuiet(self) -> None:
        """Nothing was logged, and nothing is scheduled."""
        self.assertEqual(list(self.log), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
