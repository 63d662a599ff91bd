"""
A connection of a check: what comes back is compared with what was sent, as it comes.

The checks of streams ask with :class:`StreamTester`, which is made for each target. What is kept is what is under way, so memory is
bounded by what a check sends; and each wait by its patience.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.matching import firstDifference
from echoproto.conformance.results import Failed, NoAnswer
from echoproto.conformance.waiting import Event
from echoproto.errors import ExchangeError
from echoproto.targets.failures import failureReason
from echoproto.targets.interfaces import SERVER_CLOSED, IReplyReceiver, ITarget

_HELLO = b"Is anybody there?"


def content(size: int) -> bytes:
    """So many bytes without a pattern, the same for each size."""
    return Random(size).randbytes(size)


@implementer(IReplyReceiver)
class CheckConnection:
    """
    One connection.

    :param clock: keeps the patience.
    :param patience: seconds without a byte, after which nothing is awaited any more.
    :ivar channel: the way to the server.
    """

    channel: Any = None

    def __init__(self, clock: IReactorTime, patience: float) -> None:
        self._patience = patience
        self._sent = self._received = 0
        self._due = bytearray()
        self._fault = self._ending = ""
        self._news = Event(clock)

    @property
    def due(self) -> int:
        """Bytes that have not come back."""
        return len(self._due)

    def send(self, data: bytes) -> None:
        """Send, and expect it back."""
        self._sent += len(data)
        self._due += data
        self.channel.send(data)

    async def more(self) -> None:
        """
        Wait until something has come.

        :raise Failed: something wrong has, or nothing any more.
        """
        if self._fault or self._ending:
            raise self._wrong()
        if not await self._news.wait(self._patience):
            raise self._failed(f"{self._soFar()}, then nothing for {self._patience:g} s")

    async def all(self) -> None:
        """Wait until everything has come back that was sent."""
        while self.due:
            await self.more()
        if self._fault:
            raise self._wrong()

    async def over(self) -> None:
        """Wait until everything has come back, and then the server's FIN."""
        while not self._ending:
            await self.more()
        if self.due or self._fault or self._ending != SERVER_CLOSED:
            raise self._wrong()

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        if self._fault:
            return
        due = bytes(self._due[: len(reply)])
        if due != reply:
            self._fault = self._difference(due, reply)
        self._received += len(due)
        del self._due[: len(reply)]
        self._news.tell()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        self._ending = reason
        self._news.tell()

    def close(self) -> None:
        """Cut the connection by a reset."""
        self.channel.close()

    def _wrong(self) -> Failed:
        return self._failed(self._fault or f"{self._soFar()}, then {self._ending}")

    def _failed(self, reason: str) -> Failed:
        return Failed(reason) if self._received or self._fault else NoAnswer(reason)

    def _soFar(self) -> str:
        if not self.due:
            return f"all {self._sent} bytes came back"
        return f"{self._received} of {self._sent} bytes came back"

    def _difference(self, due: bytes, reply: bytes) -> str:
        index = firstDifference(due, reply)
        if index == len(due):
            return f"{len(reply) - len(due)} bytes came that nobody had sent"
        return f"byte {self._received + index} was sent as {due[index]:02x} and came back as {reply[index]:02x}"


class StreamTester:
    """
    What the checks of streams ask with.

    :param target: a :class:`~echoproto.targets.stream.StreamTarget` without a size.
    :param clock: calls later.
    :param patience: seconds that a connection may take, and that nothing may come.
    """

    def __init__(self, target: ITarget, clock: IReactorTime, patience: float) -> None:
        self._target = target
        self._clock = clock
        self._patience = patience
        self._talks: list[CheckConnection] = []

    async def open(self) -> CheckConnection:
        """
        Connect.

        :raise NoAnswer: there is no connection.
        """
        connection = CheckConnection(self._clock, self._patience)
        try:
            connection.channel = await self._target.open(connection).addTimeout(
                self._patience, self._clock, lambda *_: Failure(TimeoutError())
            )
        except TimeoutError:
            raise NoAnswer(f"no connection in {self._patience:g} s") from None
        except ConnectingCancelledError:
            raise CancelledError from None
        except (ConnectError, ExchangeError):
            raise NoAnswer(failureReason(Failure())) from None
        self._talks.append(connection)
        return connection

    async def served(self) -> None:
        """
        Whether a client is answered, as any should be.

        :raise Failed: it is not.
        """
        connection = await self.open()
        connection.send(_HELLO)
        await connection.all()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await deferLater(self._clock, seconds)

    def close(self) -> None:
        """Cut every connection."""
        while self._talks:
            self._talks.pop().close()
