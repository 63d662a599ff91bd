"""
The test client for datagrams.

Its ports are not connected, so that a reply from a wrong address is visible. The number of kept
replies is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from echoproto.addresses import unmapped
from echoproto.client.greeting import greetDatagram
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.failures import ECHO_PLUS_HINT, answerHint
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.udp import UDPTarget
from echoproto.client.targets.udpports import UnconnectedUDPChannel, openUnconnectedChannel
from echoproto.conformance.event import Event
from echoproto.conformance.results import FILE_LIMIT, Failed, NoAnswer, Skipped, isFileLimit
from echoproto.errors import ConnectionClosed, ExchangeCancelled, ExchangeTimeout
from echoproto.protocols.echoplus import isAnswer

#: Different replies that are kept; all are counted.
MAX_KEPT_REPLIES = 1024

#: How often a single datagram is sent over a network, which may lose one.
REMOTE_TRIES = 3

#: Seconds to wait for the report that a port is closed (ICMP).
REFUSAL_TIME = 1.0

#: Long enough for the fields of UDPEchoPlus.
_HELLO = b"Is anybody there, and listening to me?"


@dataclass(frozen=True)
class Reply:
    """
    A received datagram.

    :ivar data: the payload.
    :ivar host: its numeric source address.
    :ivar port: its source port.
    """

    data: bytes
    host: str
    port: int


class CheckSocket:
    """
    A port, and the datagrams that it has received.

    :param tester: the tester that opened it.
    :ivar first: the first reply.
    :ivar distinct: the different payloads of the replies, at most :data:`MAX_KEPT_REPLIES`.
    :ivar count: the number of all replies.
    """

    channel: UnconnectedUDPChannel

    def __init__(self, tester: DatagramTester) -> None:
        self.first: Reply | None = None
        self.distinct: set[bytes] = set()
        self.count = 0
        self._tester = tester
        self._event = Event(tester.clock)

    def send(self, message: bytes, host: str = "") -> None:
        """
        Send a datagram.

        :param host: its destination; by default the target.
        :raise NoAnswer: it cannot be sent.
        """
        try:
            self.channel.send(message, host or self._tester.host, self._tester.port)
        except OSError as error:
            raise NoAnswer(f"cannot send {len(message)} bytes: {error.strerror}") from error

    async def waitForReplies(self, count: int, timeout: float) -> bool:
        """Wait for ``count`` different replies; false if none arrives for ``timeout`` seconds."""
        while len(self.distinct) < count:
            if not await self._event.wait(timeout):
                return False
        return True

    async def waitForCount(self, count: int, timeout: float) -> None:
        """
        Wait for ``count`` replies, equal ones included, or until none arrives for ``timeout``
        seconds.
        """
        while self.count < count and await self._event.wait(timeout):
            pass

    def replyReceived(self, datagram: bytes, host: str, port: int) -> None:
        """Keep a datagram."""
        self.count += 1
        self.first = self.first or Reply(datagram, host, port)
        if len(self.distinct) < MAX_KEPT_REPLIES:
            self.distinct.add(datagram)
        self._event.set()


class DatagramTester:
    """
    The test client of the checks for datagrams.

    :param reactor: has UDP, and schedules calls.
    :param hosts: the target's numeric addresses; the first that answers is used.
    :param port: its port.
    :param timeout: seconds to wait for a reply.
    :param connect: the local address, and the options of the sockets.
    :ivar host: the address in use.
    """

    def __init__(
        self,
        reactor: Any,
        hosts: Sequence[str],
        port: int,
        timeout: float,
        connect: ConnectOptions = ConnectOptions(),
    ) -> None:
        self.clock: IReactorTime = reactor
        self.host = hosts[0]
        self.port = port
        self.timeout = timeout
        self._hosts = hosts
        self._reactor = reactor
        self._connect = connect
        self._sockets: list[CheckSocket] = []

    @property
    def isLocal(self) -> bool:
        """Whether the target is on loopback, where no datagram may be lost."""
        return unmapped(self.host).is_loopback

    @property
    def isLocalIPv4(self) -> bool:
        """Whether it is on the loopback of IPv4, which has many addresses."""
        return self.isLocal and unmapped(self.host).version == 4

    def open(self, port: int = 0, source: str = "") -> CheckSocket:
        """
        Open a port.

        :param port: the local port; 0 for any.
        :param source: the local address, if it differs from that of the tester.
        :raise twisted.internet.error.CannotListenError: it cannot be bound.
        :raise Skipped: this program may open no more files.
        """
        opened = CheckSocket(self)
        connect = replace(self._connect, source=source or self._connect.source)
        try:
            opened.channel = openUnconnectedChannel(
                self._reactor, opened.replyReceived, self.host, connect, port
            )
        except CannotListenError as error:
            if isFileLimit(error.socketError):
                raise Skipped(FILE_LIMIT) from None
            raise
        self._sockets.append(opened)
        return opened

    async def exchange(self, message: bytes, host: str = "", tries: int = 0) -> Reply | None:
        """
        Send a datagram, again if no reply arrives.

        :param host: its destination; by default the target.
        :param tries: how often; by default once on loopback and :data:`REMOTE_TRIES` times
            elsewhere.
        :return: the first reply; ``None`` without one.
        """
        tries = tries or (1 if self.isLocal else REMOTE_TRIES)
        opened = self.open()
        for _ in range(tries):
            opened.send(message, host)
            if await opened.waitForReplies(1, self.timeout / tries):
                break
        return opened.first

    async def pipeline(self, messages: Collection[bytes]) -> CheckSocket:
        """Send different datagrams, all at once, and wait for the replies."""
        opened = self.open()
        for message in messages:
            opened.send(message)
        await opened.waitForReplies(len(messages), self.timeout)
        return opened

    async def expectAnswer(self) -> None:
        """
        Check that a new client is answered.

        :raise Failed: it is not.
        """
        reasons = {}
        for host in self._hosts:
            self.host = host
            try:
                reply = await self.exchange(_HELLO, tries=REMOTE_TRIES)
            except NoAnswer as error:
                reasons[host] = str(error)
                continue
            if reply is None:
                reasons[host] = await self._whyNoAnswer(host)
                continue
            self._hosts = (host,)
            if isAnswer(_HELLO, reply.data):
                raise Failed(ECHO_PLUS_HINT)
            if reply.data != _HELLO:
                raise Failed(f"the reply differs from the message{answerHint(reply.data)}")
            return
        several = (f"{host}: {reason}" for host, reason in reasons.items())
        raise NoAnswer(reasons[self.host] if len(reasons) == 1 else "; ".join(several))

    async def _whyNoAnswer(self, host: str) -> str:
        """The reason that the network reports, which only a connected port receives."""
        resolved = ResolvedHost([host])
        target = UDPTarget(host, self._reactor, resolved, self.port, len(_HELLO), self._connect)
        greeting = greetDatagram(target, self.clock, _HELLO, REFUSAL_TIME)
        reason = await greeting.addCallbacks(lambda reply: "", _refusal)
        return reason or f"no datagram received within {self.timeout:g} s"

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await deferLater(self.clock, seconds)

    def close(self) -> None:
        """Close every port."""
        while self._sockets:
            self._sockets.pop().channel.close()


def _refusal(failure: Failure) -> str:
    """Why the network has refused a datagram; empty if it has not."""
    if failure.check(ExchangeCancelled):
        raise CancelledError
    failure.trap(ConnectionClosed, ExchangeTimeout)
    return str(failure.value) if failure.check(ConnectionClosed) else ""
