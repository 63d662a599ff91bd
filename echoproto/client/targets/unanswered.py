"""
The datagrams of a UDP channel before the first reply, which shows what service answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from echoproto.client.targets.failures import ECHO_PLUS_HINT, GREETING_HINT
from echoproto.protocols.echoplus import isAnswer
from echoproto.protocols.greeting import SERVER_GREETING

#: Datagrams that a channel remembers until its first reply.
MAX_UNANSWERED = 16


class UnansweredDatagrams:
    """The last :data:`MAX_UNANSWERED` datagrams, and the first one."""

    def __init__(self) -> None:
        self._first = b""
        self._last: deque[bytes] = deque(maxlen=MAX_UNANSWERED)

    def __iter__(self) -> Iterator[bytes]:
        """The last ones, in their order."""
        return iter(self._last)

    def add(self, datagram: bytes) -> None:
        """Remember a datagram that is being sent."""
        self._last.append(datagram)
        self._first = self._first or datagram

    def discard(self, reply: bytes) -> bool:
        """Forget the datagram with this echo; returns whether there was one."""
        if reply not in self._last:
            return False
        self._last.remove(reply)
        return True

    def hint(self, reply: bytes) -> str:
        """Which command fits the service, if the reply is not an echo; empty if it may be one."""
        if any(isAnswer(request, reply) for request in (self._first, *self._last)):
            return ECHO_PLUS_HINT
        return GREETING_HINT if reply == SERVER_GREETING else ""
