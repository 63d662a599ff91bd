"""
What every datagram service shares: admission, never more bytes out than in, and errors that
are counted and never fatal.

:class:`DatagramServerProtocol` is subclassed by the services and runs on any UDP transport of
Twisted. Whole datagrams and the right source address are the transport's part:
:mod:`echoproto.transports.udp` is the one that has both.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol

from echoproto.errors import errnoName
from echoproto.protocols.admission import DatagramAdmission, Refusal
from echoproto.protocols.observer import DatagramTotals, IObserver, NullObserver


class DatagramServerProtocol(DatagramProtocol):
    """
    Answers each admitted datagram with what :meth:`reply` makes of it, at once or never. A service whose reply is always
    the request itself may have :meth:`send` for its :meth:`answer`.

    :param clock: the clock of the default admission; the reactor, or a ``Clock`` in tests.
    :param observer: is told the totals when the port is closed.
    :param admission: decides which sources are answered; one of its own where none is given.
    """

    noisy = False
    # Without a cast, which would be a call for each datagram.
    transport: Any

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: DatagramAdmission | None = None,
    ) -> None:
        self.observer: IObserver = observer if observer is not None else NullObserver()
        self.admission = admission if admission is not None else DatagramAdmission(clock.seconds)
        # Counted by themselves, as it is done for each datagram; see totals().
        self._received = self._answered = self._bytesReceived = self._bytesSent = 0
        self._refused: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._receiveErrors: Counter[str] = Counter()

    def reply(self, request: bytes) -> bytes | Refusal:
        """
        What to answer; implemented by each service.

        :param request: one whole datagram.
        :return: the answer, or why there is none.
        """
        raise NotImplementedError

    def answered(self, request: bytes, addr: tuple[Any, ...]) -> None:
        """Called after ``request`` was answered; a service may tell its observer."""

    def totals(self) -> DatagramTotals:
        """What this listener has done so far, with the receive errors that its port counted."""
        errors = self._errors + self._receiveErrors
        return DatagramTotals(
            self._received,
            self._answered,
            self._bytesReceived,
            self._bytesSent,
            dict(self._refused),
            dict(errors),
        )

    def startProtocol(self) -> None:
        """Refuse our own port as a source from now on."""
        port: Any = self.transport
        self._ownPort = port.getHost().port
        self.admission.addOwnPort(self._ownPort)
        # Kept, as the port is gone when the totals are told; only our own port counts them.
        self._receiveErrors = port.receiveErrors if hasattr(port, "receiveErrors") else Counter()

    def stopProtocol(self) -> None:
        """The port is closed: tell the totals."""
        self.admission.removeOwnPort(self._ownPort)
        self.observer.datagramsStopped(self.totals())

    def datagramReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """
        Answer one datagram if it may be answered.

        :param datagram: the payload, whole.
        :param addr: where it came from: address and port, for IPv6 perhaps flow and scope too.
        """
        self._received += 1
        self._bytesReceived += len(datagram)
        refusal = self.admission.refusal(addr[0], addr[1])
        if refusal is None:
            self.answer(datagram, addr)
        else:
            self._refused[refusal.value] += 1

    def answer(self, request: bytes, addr: tuple[Any, ...], /) -> object:
        """Send what :meth:`reply` makes of an admitted datagram."""
        reply = self.reply(request)
        if isinstance(reply, bytes) and len(reply) > len(request):
            reply = Refusal.AMPLIFYING
        if isinstance(reply, Refusal):
            self._refused[reply.value] += 1
        elif self.send(reply, addr):
            self.answered(request, addr)
        return None

    def send(self, reply: bytes, addr: tuple[Any, ...], /) -> bool:
        """Send a reply and count it, or why it could not be sent; whether it could."""
        try:
            self.transport.write(reply, addr)
        except OSError as error:
            # A full queue, a firewall, no route: the network's affair, and UDP may lose. A retry
            # here would make a loop of a lasting fault.
            self._errors[f"send {errnoName(error)}"] += 1
            return False
        except MessageLengthError:
            self._errors["send EMSGSIZE"] += 1
            return False
        self._answered += 1
        self._bytesSent += len(reply)
        return True
