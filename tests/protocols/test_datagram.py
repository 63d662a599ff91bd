from __future__ import annotations

from collections import Counter
from errno import EACCES, ENOBUFS
from typing import Any, cast

from twisted.internet.error import MessageLengthError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.datagramadmission import DatagramAdmission
from echoproto.protocols.admission.refusals import DATAGRAM_REFUSALS, Refusal
from echoproto.protocols.datagram import DatagramServerProtocol, errnoName, maxDatagram
from echoproto.protocols.observer import DatagramTotals
from echoproto.testing import DatagramWire, RecordingObserver

SOURCE = ("192.0.2.1", 40_000)

#: What is counted from the start.
NO_REFUSALS = {refusal.value: 0 for refusal in DATAGRAM_REFUSALS}


class Answering(DatagramServerProtocol):
    """Replies with the value of ``text``."""

    text: bytes | Refusal = b""

    def reply(self, request: bytes) -> bytes | Refusal:
        return self.text


class FailingPort:
    """A transport whose every write fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def write(self, datagram: bytes, addr: Any) -> None:
        raise self._error


class DatagramServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.observer = RecordingObserver()
        self.service = Answering(self.wire, self.observer)
        self.port = self.wire.listenUDP(7777, self.service)

    def sent(self) -> list[bytes]:
        return [datagram.data for datagram in self.wire.pending]

    def test_answers(self) -> None:
        """An admitted datagram is answered to its source, and counted."""
        self.service.text = b"yes"
        self.service.datagramReceived(b"question", SOURCE)
        [datagram] = self.wire.pending
        self.assertEqual((datagram.destination, datagram.data), (SOURCE, b"yes"))
        self.assertEqual(self.service.totals(), DatagramTotals(1, 1, 8, 3, NO_REFUSALS))

    def test_wholeAddressOfIPv6(self) -> None:
        """An IPv6 source with flow and scope is answered."""
        self.service.datagramReceived(b"", ("fe80::1", 40_000, 0, 2))
        self.assertEqual(self.service.totals().answered, 1)

    def test_neverMoreOutThanIn(self) -> None:
        """A reply longer than its request is not sent, and counted as amplifying."""
        self.service.text = b"yes"
        self.service.datagramReceived(b"??", SOURCE)
        self.assertEqual(self.sent(), [])
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.AMPLIFYING.value: 1})

    def test_refusedByTheService(self) -> None:
        """If the service refuses a request, nothing is sent, and the reason is counted."""
        self.service.text = Refusal.OWN_REPLY
        self.service.datagramReceived(b"??", SOURCE)
        self.assertEqual(self.sent(), [])
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.OWN_REPLY.value: 1})

    def test_refusedSource(self) -> None:
        """If admission refuses the source, nothing is sent, and the reason is counted."""
        self.service.datagramReceived(b"", ("192.0.2.1", 19))
        self.assertEqual(self.sent(), [])
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.LOOPING_PORT.value: 1})

    def test_ownPortIsRefused(self) -> None:
        """The port of a listener is refused as a source by all that share its admission."""
        admission = DatagramAdmission(self.wire.seconds)
        first = Answering(self.wire, admission=admission)
        self.wire.listenUDP(8001, first)
        self.wire.listenUDP(8002, Answering(self.wire, admission=admission))
        first.datagramReceived(b"", ("192.0.2.1", 8001))
        first.datagramReceived(b"", ("192.0.2.1", 8002))
        self.assertEqual(+Counter(first.totals().refused), {Refusal.OWN_PORT.value: 2})

    def test_sendErrorsAreCounted(self) -> None:
        """A failed send is counted by its errno, and the service continues."""
        for error in (OSError(ENOBUFS, "x"), OSError(EACCES, "x"), MessageLengthError("x")):
            self.service.transport = cast(Any, FailingPort(error))
            self.service.datagramReceived(b"", SOURCE)
        self.service.transport = self.port
        self.service.datagramReceived(b"", SOURCE)
        totals = self.service.totals()
        self.assertEqual(totals.errors, {"send ENOBUFS": 1, "send EACCES": 1, "send EMSGSIZE": 1})
        self.assertEqual((totals.received, totals.answered), (4, 1))

    def test_totalsOnStop(self) -> None:
        """When the port is closed the observer gets the totals, with those of the port."""
        service = Answering(self.wire, self.observer)
        port: Any = self.wire.listenUDP(7778, service)
        port.receiveErrors = Counter({"receive ENOMEM": 2})
        port.droppedDatagrams = iter([7]).__next__
        service.startProtocol()
        port.stopListening()
        totals = DatagramTotals(refused=NO_REFUSALS, errors={"receive ENOMEM": 2}, dropped=7)
        self.assertEqual((self.observer.totals, service.totals()), ([totals], totals))

    def test_abstract(self) -> None:
        """Subclasses must implement reply()."""
        with self.assertRaises(NotImplementedError):
            DatagramServerProtocol(self.wire).reply(b"")


class ErrnoNameTests(SynchronousTestCase):
    def test_name(self) -> None:
        """A known errno gives its name, an error without one gives "unknown errno"."""
        self.assertEqual(errnoName(OSError(ENOBUFS, "x")), "ENOBUFS")
        self.assertEqual(errnoName(OSError("no number")), "unknown errno")


class MaxDatagramTests(SynchronousTestCase):
    def test_maxDatagram(self) -> None:
        """The longest datagram depends on the family."""
        self.assertEqual((maxDatagram("192.0.2.1"), maxDatagram("::1")), (65_507, 65_527))
