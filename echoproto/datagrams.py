"""
What every datagram service shares: admission, never more bytes out than in, and errors that
are counted and never fatal.

:class:`DatagramService` is subclassed by the services and runs on any UDP transport of
Twisted. Whole datagrams and the right source address are the transport's part:
:mod:`echoproto.datagramport` is the one that has both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from errno import errorcode
from typing import Any, cast

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol

from echoproto.admission import DatagramAdmission, Refusal
from echoproto.observer import DatagramTotals, IObserver, Silent


def errnoName(error: OSError) -> str:
    """The name of an error's number, such as ``ENOBUFS``."""
    return errorcode.get(error.errno or 0, "unknown errno")


class DatagramService(DatagramProtocol):
    """
    Answers each admitted datagram with what :meth:`reply` makes of it, at once or never.

    :param clock: the clock of the default admission; the reactor, or a ``Clock`` in tests.
    :param observer: is told the totals when the port is closed.
    :param admission: decides which sources are answered; one of its own where none is given.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: DatagramAdmission | None = None,
    ) -> None:
        self.observer: IObserver = observer if observer is not None else Silent()
        self.admission = admission if admission is not None else DatagramAdmission(clock.seconds)
        self._totals = DatagramTotals()
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
        return replace(self._totals, refused=dict(self._refused), errors=dict(errors))

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
        self._totals.received += 1
        self._totals.bytesReceived += len(datagram)
        answer = self.admission.refusal(addr[0], addr[1]) or self.reply(datagram)
        if isinstance(answer, bytes) and len(answer) > len(datagram):
            answer = Refusal.AMPLIFYING
        if isinstance(answer, Refusal):
            self._refused[answer.value] += 1
        elif self._send(answer, addr):
            self.answered(datagram, addr)

    def _send(self, datagram: bytes, addr: tuple[Any, ...]) -> bool:
        try:
            cast(Any, self.transport).write(datagram, addr)
        except OSError as error:
            # A full queue, a firewall, no route: the network's affair, and UDP may lose. A retry
            # here would make a loop of a lasting fault.
            self._errors[f"send {errnoName(error)}"] += 1
            return False
        except MessageLengthError:
            self._errors["send EMSGSIZE"] += 1
            return False
        self._totals.answered += 1
        self._totals.bytesSent += len(datagram)
        return True
