"""
Datagrams of a check, and what comes back.

The checks of datagrams ask with :class:`DatagramTester`, which is made for each target. The port that sends is connected to
nobody, so that a reply from a wrong address is seen, and what it keeps has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from echoproto.addresses import unmapped
from echoproto.conformance.results import Failed, NoAnswer
from echoproto.conformance.waiting import Event
from echoproto.targets.udp import openUnconnectedChannel

#: Replies that are kept; all are counted.
KEPT = 1024

#: How often a datagram is sent where the network may lose one, and on loopback, where it may not.
TRIES = 3
NEAR_TRIES = 1

_HELLO = b"Is anybody there?"


@dataclass(frozen=True)
class Reply:
    """
    A datagram that came.

    :ivar data: what it holds.
    :ivar host: the numeric address that it came from.
    :ivar port: likewise.
    """

    data: bytes
    host: str
    port: int


class CheckSocket:
    """
    A port, and what came to it.

    :param asked: whom it asks.
    :ivar replies: the first :data:`KEPT`.
    :ivar count: of all of them.
    """

    channel: Any = None

    def __init__(self, asked: DatagramTester) -> None:
        self.replies: list[Reply] = []
        self.count = 0
        self._asked = asked
        self._news = Event(asked.clock)

    def send(self, message: bytes, host: str = "") -> None:
        """
        Send a datagram.

        :param host: where to; to the target unless told otherwise.
        :raise NoAnswer: it cannot be sent.
        """
        try:
            self.channel.send(message, host or self._asked.host, self._asked.port)
        except OSError as error:
            raise NoAnswer(f"{len(message)} bytes cannot be sent: {error.strerror}") from error

    async def come(self, count: int, seconds: float) -> bool:
        """Wait until so many have come; false where for so long none has."""
        while self.count < count:
            if not await self._news.wait(seconds):
                return False
        return True

    def replyReceived(self, datagram: bytes, host: str, port: int) -> None:
        """A datagram has come."""
        self.count += 1
        if self.count <= KEPT:
            self.replies.append(Reply(datagram, host, port))
        self._news.tell()


class DatagramTester:
    """
    What the checks of datagrams ask with.

    :param reactor: has UDP, and calls later.
    :param host: the target's numeric address.
    :param port: its port.
    :param patience: seconds that a reply may take.
    :param source: the numeric address to send from; empty for the kernel's choice.
    :ivar near: whether it is on loopback, where nothing may be lost.
    """

    def __init__(
        self, reactor: Any, host: str, port: int, patience: float, source: str = ""
    ) -> None:
        self.clock: IReactorTime = reactor
        self.host = host
        self.port = port
        self.patience = patience
        self.near = unmapped(host).is_loopback
        self._reactor = reactor
        self._source = source
        self._posts: list[CheckSocket] = []

    def open(self, port: int = 0, source: str = "") -> CheckSocket:
        """
        A port to send from.

        :param port: which; 0 for any.
        :param source: the address to send from, where it is another than that of all.
        :raise twisted.internet.error.CannotListenError: it cannot be had.
        """
        post = CheckSocket(self)
        source = source or self._source
        post.channel = openUnconnectedChannel(
            self._reactor, post.replyReceived, self.host, source, port
        )
        self._posts.append(post)
        return post

    async def exchange(self, message: bytes, host: str = "", tries: int = 0) -> Reply | None:
        """
        Send a datagram, again where no reply comes.

        :param host: where to; to the target unless told otherwise.
        :param tries: how often; once on loopback unless told otherwise.
        :return: the first reply; ``None`` where none came.
        """
        tries = tries or (NEAR_TRIES if self.near else TRIES)
        post = self.open()
        for _ in range(tries):
            post.send(message, host)
            if await post.come(1, self.patience / tries):
                return post.replies[0]
        return None

    async def pipeline(self, messages: Iterable[bytes]) -> CheckSocket:
        """Send datagrams, all at once, and wait for the replies."""
        post = self.open()
        sent = 0
        for each in messages:
            post.send(each)
            sent += 1
        await post.come(sent, self.patience)
        return post

    async def served(self) -> None:
        """
        Whether a client is answered, as any should be.

        :raise Failed: it is not.
        """
        reply = await self.exchange(_HELLO, tries=TRIES)
        if reply is None:
            raise NoAnswer(f"no datagram came back in {self.patience:g} s")
        if reply.data != _HELLO:
            raise Failed("another datagram came back")

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await deferLater(self.clock, seconds)

    def close(self) -> None:
        """Close every port."""
        while self._posts:
            self._posts.pop().channel.close()
