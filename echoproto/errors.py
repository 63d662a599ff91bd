"""
Every exception that this package raises, in one tree.

::

    EchoprotoError
    ├── StartupError           a listener cannot be opened, or an option is invalid (a SystemExit)
    ├── TargetError            a target is invalid, or needs something that is missing
    ├── ReportError            stored results cannot be read, merged or compared
    ├── UsageMistake           a mistake of the calling program
    │   ├── Closed             echo() or close() after close()
    │   └── DatagramTooLong    more data than a datagram can hold
    └── ExchangeError          a fault of the server or the network: an exchange fails with it
        ├── EchoMismatch       the reply differs from the message
        ├── UnexpectedReply    data arrived although no reply was due
        ├── EmptyReply         the server closed the connection without a greeting
        ├── ReplyTooLong       the greeting exceeds its maximum length
        ├── ExchangeTimeout    no complete reply in time
        ├── ExchangeCancelled  the caller cancelled the Deferred (also CancelledError)
        └── ConnectionClosed   the connection ended, or was refused

A connection that cannot be made at all fails with Twisted's own errors
(:mod:`twisted.internet.error`), which say more than we could.

Everything here is a value: no module of the package is imported.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError


class EchoprotoError(Exception):
    """The root of the tree."""


class StartupError(EchoprotoError, SystemExit):
    """
    The server cannot start. The message is one line: the listener, the cause, the remedy.

    It is also a :class:`SystemExit`: if it is not caught, the process prints the message and ends
    with status 1. ``twistd`` answers any other exception with a traceback or with all its options,
    and this message is for an operator.

    :param message: the line.
    :param isReported: whether it was printed or logged already, and must not be printed again.
    """

    def __init__(self, message: str, isReported: bool = False) -> None:
        super().__init__(message)
        self.code = 1 if isReported else message


class TargetError(EchoprotoError):
    """A target cannot be used. The message is one line: the target, the cause, the remedy."""


class ReportError(EchoprotoError):
    """
    Stored results cannot be read, merged or compared. The message is one line: the file, the cause,
    the remedy.
    """


class UsageMistake(EchoprotoError):
    """A mistake of the calling program; nothing was sent."""


class Closed(UsageMistake):
    """The client was closed before."""


class DatagramTooLong(UsageMistake):
    """The message is longer than a datagram can be."""


class ExchangeError(EchoprotoError):
    """An exchange failed because of the server or the network."""


class EchoMismatch(ExchangeError):
    """
    The reply differs from the message.

    :ivar offset: the offset of the first wrong byte.
    :ivar sent: the expected data from there on, at most :data:`EXCERPT` bytes.
    :ivar received: the received data from there on, at most :data:`EXCERPT` bytes.
    """

    #: Long enough to recognize a pattern, short enough for one line.
    EXCERPT = 16

    def __init__(self, offset: int, sent: bytes, received: bytes) -> None:
        self.offset = offset
        self.sent = sent[: self.EXCERPT]
        self.received = received[: self.EXCERPT]
        super().__init__(
            f"wrong byte at offset {offset}: sent {self.sent!r}, received {self.received!r}"
        )


class UnexpectedReply(ExchangeError):
    """
    Data arrived although no reply was due.

    :ivar received: the first of it, at most :attr:`EchoMismatch.EXCERPT` bytes.
    """

    def __init__(self, received: bytes) -> None:
        self.received = received[: EchoMismatch.EXCERPT]
        super().__init__(f"unexpected reply: {self.received!r}")


class EmptyReply(ExchangeError):
    """The server closed the connection without sending a byte."""


class ReplyTooLong(ExchangeError):
    """The server sent more than the maximum that the caller set."""


class ExchangeTimeout(ExchangeError):
    """The reply was not complete in time."""


class ExchangeCancelled(ExchangeError, CancelledError):
    """The caller cancelled the Deferred of this exchange."""


class ConnectionClosed(ExchangeError):
    """The connection ended before the reply was complete, or was refused."""
