"""
The test client for streams: returned data is compared with the sent data as it arrives.

Outstanding data is kept, so memory is bounded by the amount that a check sends; every wait has a
timeout.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.matching import firstDifference
from echoproto.client.targets.channels import openChannel
from echoproto.client.targets.failures import answerHint, failureReason
from echoproto.client.targets.interfaces import (
    SERVER_CLOSED,
    IReplyReceiver,
    IStreamChannel,
    ITarget,
)
from echoproto.conformance.event import Event
from echoproto.conformance.results import FILE_LIMIT, Failed, NoAnswer, Skipped, isFileLimit
from echoproto.errors import ExchangeError
from echoproto.text.units import SECOND, counted

_HELLO = b"Is anybody there?"


def content(size: int) -> bytes:
    """``size`` bytes without a pattern, the same for each size."""
    return Random(size).randbytes(size)


@implementer(IReplyReceiver)
class CheckConnection:
    """
    One connection.

    :param clock: measures the timeout.
    :param timeout: seconds to wait for the next data.
    :ivar channel: the channel to the server.
    """

    channel: IStreamChannel

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self._timeout = timeout
        self._sent = self._received = 0
        self._outstanding = bytearray()
        self._fault = self._end = ""
        self._event = Event(clock)

    @property
    def outstanding(self) -> int:
        """Bytes that have not been returned."""
        return len(self._outstanding)

    def send(self, data: bytes) -> None:
        """Send data, and expect its echo."""
        self._sent += len(data)
        self._outstanding += data
        self.channel.send(data)

    async def waitForData(self) -> None:
        """
        Wait until data arrives.

        :raise Failed: it is wrong, or none arrives.
        """
        if self._fault or self._end:
            raise self._failure()
        if not await self._event.wait(self._timeout):
            raise self._failed(f"{self._progress()}, then nothing for {self._timeout:g} s")

    async def waitForEcho(self) -> None:
        """Wait until all sent data has been returned."""
        while self.outstanding:
            await self.waitForData()
        if self._fault:
            raise self._failure()

    async def waitForClose(self) -> None:
        """Wait until all sent data has been returned, and then for the server's FIN."""
        while not self._end:
            await self.waitForData()
        if self.outstanding or self._fault or not self._end.startswith(SERVER_CLOSED):
            raise self._failure()

    async def waitForEnd(self) -> bool:
        """
        Read on, whatever is returned.

        :return: whether the connection ends before the timeout.
        """
        self.channel.resumeProducing()
        while not self._end and await self._event.wait(self._timeout):
            pass
        return bool(self._end)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        if self._fault:
            return
        expected = bytes(self._outstanding[: len(reply)])
        if expected != reply:
            hint = "" if self._received else answerHint(reply)
            self._fault = f"{self._difference(expected, reply)}{hint}"
        self._received += len(expected)
        del self._outstanding[: len(reply)]
        self._event.set()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._end = reason
        self._event.set()

    def close(self) -> None:
        """Close the connection by our FIN, or by a reset if data is outstanding."""
        if self.outstanding or self._fault:
            self.channel.abort()
        else:
            self.channel.close()

    def _failure(self) -> Failed:
        return self._failed(self._fault or f"{self._progress()}, then {self._end}")

    def _failed(self, reason: str) -> Failed:
        return Failed(reason) if self._received or self._fault else NoAnswer(reason)

    def _progress(self) -> str:
        if not self.outstanding:
            return f"all {counted(self._sent, 'byte')} returned"
        return f"{self._received} of {counted(self._sent, 'byte')} returned"

    def _difference(self, expected: bytes, reply: bytes) -> str:
        index = firstDifference(expected, reply)
        if index == len(expected):
            return f"received {counted(len(reply) - index, 'byte')} more than was sent"
        return (
            f"wrong byte at offset {self._received + index}: "
            f"sent {expected[index]:02x}, received {reply[index]:02x}"
        )


class StreamTester:
    """
    The test client of the checks for streams.

    :param target: a :class:`~echoproto.client.targets.stream.StreamTarget` without a size.
    :param clock: schedules calls.
    :param timeout: seconds to wait for a connection, and for data.
    """

    def __init__(self, target: ITarget, clock: IReactorTime, timeout: float) -> None:
        self._target = target
        self._clock = clock
        self._timeout = timeout
        self._connections: list[CheckConnection] = []

    async def open(self) -> CheckConnection:
        """
        Connect.

        :raise NoAnswer: the server does not accept the connection.
        :raise Skipped: this program may open no more files.
        """
        connection = CheckConnection(self._clock, self._timeout)
        try:
            connection.channel = await openChannel(
                self._target, connection, self._clock, round(self._timeout * SECOND)
            )
        except ConnectingCancelledError:
            raise CancelledError from None
        except (ConnectError, ExchangeError) as error:
            if isFileLimit(error):
                raise Skipped(FILE_LIMIT) from None
            raise NoAnswer(failureReason(Failure())) from None
        self._connections.append(connection)
        return connection

    async def expectAnswer(self) -> None:
        """
        Check that a new client is answered.

        :raise Failed: it is not.
        """
        connection = await self.open()
        connection.send(_HELLO)
        await connection.waitForEcho()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await deferLater(self._clock, seconds)

    def close(self) -> None:
        """Close every connection."""
        while self._connections:
            self._connections.pop().close()
