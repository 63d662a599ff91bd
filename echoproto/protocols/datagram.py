"""
The common part of all datagram services: admission, no more bytes out than in, and errors that are
counted and never fatal.

:class:`DatagramServerProtocol` is the base class of the services, and runs on any UDP transport of
Twisted. Whole datagrams and the right source address are provided by the transport in
:mod:`echoproto.transports.udp`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from errno import errorcode
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from zope.interface import Interface

from echoproto.protocols.admission.datagramadmission import DatagramAdmission
from echoproto.protocols.admission.refusals import DATAGRAM_REFUSALS, Refusal
from echoproto.protocols.observer import DatagramTotals, IObserver, NullObserver

#: Payload bytes of the longest datagram: 65,535 less the headers of IPv4 and UDP (RFC 791,
#: RFC 768); on IPv6 less that of UDP (RFC 8200).
MAX_IPV4_DATAGRAM = 65_507
MAX_IPV6_DATAGRAM = 65_527


def maxDatagram(host: str) -> int:
    """Payload bytes of the longest datagram to a numeric address."""
    return MAX_IPV6_DATAGRAM if ":" in host else MAX_IPV4_DATAGRAM


class IDatagramEcho(Interface):
    """
    A datagram protocol whose reply is always the request: a port may receive and send its datagrams
    in batches, and call these methods instead of ``datagramReceived``.
    """

    def admit(sources: Sequence[bytes], size: int) -> Sequence[int]:
        """
        Datagrams were received.

        :param sources: their source addresses in order, as :func:`rawAddress` reads them.
        :param size: the bytes of all.
        :return: the indexes of those that must not be answered, in order.
        """

    def sent(count: int, size: int) -> None:
        """``count`` replies with together ``size`` bytes were sent."""

    def sendFailed(error: Exception) -> None:
        """One reply was not sent."""


class IReactorDatagrams(Interface):
    """A reactor with its own kind of port for datagrams, for example in memory."""

    def listenDatagrams(port: int, protocol: DatagramProtocol, interface: str) -> IListeningPort:
        """See :func:`echoproto.transports.datagramreactor.listenDatagrams`."""


class DatagramServerProtocol(DatagramProtocol):
    """
    Answers each admitted datagram with the result of :meth:`reply`, at once or never. A service
    whose reply is always the request can use :meth:`send` as its :meth:`answer`.

    :param clock: the clock of the service and of the default admission; the reactor, or a
        ``Clock`` in tests.
    :param observer: receives the totals when the port is closed.
    :param admission: decides which sources are answered; by default one of its own.
    """

    noisy = False
    #: Why the service does not answer datagrams.
    refusals: tuple[Refusal, ...] = DATAGRAM_REFUSALS
    # Declared, because a cast would be a call per datagram.
    transport: Any

    def __init__(
        self,
        clock: IReactorTime,
        observer: IObserver | None = None,
        admission: DatagramAdmission | None = None,
    ) -> None:
        self.clock = clock
        self.observer: IObserver = observer if observer is not None else NullObserver()
        self.admission = admission if admission is not None else DatagramAdmission(clock.seconds)
        # Separate counters, updated for every datagram; see totals().
        self._received = self._answered = self._bytesReceived = self._bytesSent = 0
        self._refused: Counter[str] = Counter({refusal.value: 0 for refusal in self.refusals})
        self._errors: Counter[str] = Counter()
        self._receiveErrors: Counter[str] = Counter()
        self._countDropped: Callable[[], int] = int

    def reply(self, request: bytes) -> bytes | Refusal:
        """
        The reply to a request; implemented by every service.

        :param request: one whole datagram.
        :return: the reply, or the reason why there is none.
        """
        raise NotImplementedError

    def answered(self, request: bytes, addr: tuple[Any, ...]) -> None:
        """Called after ``request`` was answered; a service can report it to its observer."""

    def totals(self) -> DatagramTotals:
        """The totals of this listener, with the receive errors counted by its port."""
        errors = self._errors + self._receiveErrors
        return DatagramTotals(
            self._received,
            self._answered,
            self._bytesReceived,
            self._bytesSent,
            dict(self._refused),
            dict(errors),
            self._countDropped(),
        )

    def startProtocol(self) -> None:
        """Refuse our own port as a source from now on."""
        port: Any = self.transport
        self._ownPort = port.getHost().port
        self.admission.addOwnPort(self._ownPort)
        # Kept, because the port is gone when the totals are reported; only our own port counts
        # these.
        self._receiveErrors = port.receiveErrors if hasattr(port, "receiveErrors") else Counter()
        self._countDropped = getattr(port, "droppedDatagrams", int)

    def stopProtocol(self) -> None:
        """The port is closed: report the totals."""
        self.admission.removeOwnPort(self._ownPort)
        totals = self.totals()
        # The socket, which counts them, will be closed.
        self._countDropped = lambda: totals.dropped
        self.observer.datagramsStopped(totals)

    def datagramReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """
        Answer one datagram if it is admitted.

        :param datagram: the payload, whole.
        :param addr: the source: address and port, and for IPv6 possibly flow and scope.
        """
        self._received += 1
        self._bytesReceived += len(datagram)
        refusal = self.admission.refusal(addr[0], addr[1])
        if refusal is None:
            self.answer(datagram, addr)
        else:
            self._refused[refusal.value] += 1

    def answer(self, request: bytes, addr: tuple[Any, ...], /) -> object:
        """Send the reply to an admitted datagram."""
        reply = self.reply(request)
        if isinstance(reply, bytes) and len(reply) > len(request):
            reply = Refusal.AMPLIFYING
        if isinstance(reply, Refusal):
            self._refused[reply.value] += 1
        elif self.send(reply, addr):
            self.answered(request, addr)
        return None

    def send(self, reply: bytes, addr: tuple[Any, ...], /) -> bool:
        """Send a reply and count it, or the error. Returns whether it was sent."""
        try:
            self.transport.write(reply, addr)
        except (OSError, MessageLengthError) as error:
            self.sendFailed(error)
            return False
        self._answered += 1
        self._bytesSent += len(reply)
        return True

    def sendFailed(self, error: Exception) -> None:
        """
        Count a reply that was not sent: a full queue, a firewall, no route. UDP may lose a
        datagram; a retry would turn a lasting fault into a loop.
        """
        name = errnoName(error) if isinstance(error, OSError) else "EMSGSIZE"
        self._errors[f"send {name}"] += 1


def errnoName(error: OSError) -> str:
    """The name of an error number, such as ``ENOBUFS``."""
    return errorcode.get(error.errno or 0, "unknown errno")
