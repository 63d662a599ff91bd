from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from errno import EAGAIN, EHOSTUNREACH, ENOMEM

from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.batchecho import DATAGRAMS_BEFORE_TURN_ENDS, BatchEcho
from echoproto.transports.datagrambatch import BATCH_DATAGRAMS
from echoproto.transports.pktinfo import packControl, replyControl
from tests.transports.test_pktinfo import pktinfo

CONTROL = packControl([pktinfo()])
GROUP = packControl([pktinfo(header=socket.inet_aton("255.255.255.255"))])


class FakeBatch:
    """
    Batches whose datagrams are a text, the ancillary data of each, and for a send the errors of
    some: by their text.
    """

    def __init__(self, *batches: list[tuple[str, bytes]] | int) -> None:
        self.batches = list(batches)
        self.sent: list[tuple[str, bytes]] = []
        self.failing: dict[str, int] = {}
        self.controls = b""
        self._texts: list[str] = []

    def receive(self, descriptor: int) -> int:
        batch = self.batches.pop(0) if self.batches else []
        if isinstance(batch, int):
            raise OSError(batch, "x")
        self._texts = [text for text, _ in batch]
        self._controls = [control for _, control in batch]
        self.controls = b"".join(self._controls)
        return len(batch)

    def control(self, index: int) -> bytes:
        return self._controls[index]

    def sizes(self, start: int, end: int) -> list[int]:
        return [len(text) for text in self._texts[start:end]]

    def sources(self, start: int, end: int) -> tuple[bytes, ...]:
        return tuple(text.encode() for text in self._texts[start:end])

    def send(self, descriptor: int, start: int, end: int, control: bytes) -> int:
        if self._texts[start] in self.failing:
            raise OSError(self.failing[self._texts[start]], "x")
        sent = 0
        for text in self._texts[start:end]:
            if text in self.failing:
                break
            self.sent.append((text, control))
            sent += 1
        return sent


class Recording:
    """A service that refuses texts which begin with a minus sign."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def admit(self, sources: Sequence[bytes], size: int) -> Sequence[int]:
        self.events.append((len(sources), size))
        return [index for index, source in enumerate(sources) if source.startswith(b"-")]

    def sent(self, count: int, size: int) -> None:
        self.events.append(("sent", count, size))

    def sendFailed(self, error: OSError) -> None:
        self.events.append(error.errno)


class BatchEchoTests(SynchronousTestCase):
    def turn(self, *batches: list[tuple[str, bytes]] | int, **failing: int) -> list[str]:
        """Take one turn with these batches; the sent texts."""
        self.batch, self.service = FakeBatch(*batches), Recording()
        self.batch.failing = failing
        self.errors: Counter[str] = Counter()
        self.echo = BatchEcho(self.service, self.batch, self.errors)  # type: ignore[arg-type]
        self.received = self.echo.takeTurn(7)
        return [text for text, _ in self.batch.sent]

    def test_all(self) -> None:
        """A batch is admitted, sent and counted at once."""
        self.assertEqual(self.turn([("a", b""), ("bc", b"")]), ["a", "bc"])
        self.assertEqual(self.service.events[:2], [(2, 3), ("sent", 2, 3)])

    def test_refused(self) -> None:
        """Refused datagrams are not sent, wherever they are in the batch."""
        datagrams = [(text, b"") for text in ("-1", "a", "b", "-2", "-3", "c", "-4")]
        self.assertEqual(self.turn(datagrams), ["a", "b", "c"])
        self.assertEqual(self.service.events[:3], [(7, 11), ("sent", 2, 2), ("sent", 1, 1)])

    def test_failing(self) -> None:
        """A failed send is reported, and the datagrams after it are sent."""
        datagrams = [(text, b"") for text in ("a", "bad", "b", "-1", "worse", "cc")]
        sent = self.turn(datagrams, bad=EHOSTUNREACH, worse=EAGAIN)
        self.assertEqual(sent, ["a", "b", "cc"])
        self.assertEqual(
            self.service.events[1:6],
            [("sent", 1, 1), EHOSTUNREACH, ("sent", 1, 1), EAGAIN, ("sent", 1, 2)],
        )

    def test_destinations(self) -> None:
        """Datagrams to several addresses are answered from these, in order."""
        other = packControl([pktinfo(*[socket.inet_aton("192.0.2.1")] * 2)])
        datagrams = [("a", CONTROL), ("b", CONTROL), ("c", other), ("d", CONTROL)]
        self.turn(datagrams, [("e", CONTROL)])
        replies = [CONTROL, CONTROL, other, CONTROL, CONTROL]
        expected = list(zip("abcde", map(replyControl, replies), strict=True))
        self.assertEqual(self.batch.sent, expected)
        self.assertEqual(self.received, 5)

    def test_groups(self) -> None:
        """Datagrams to a group are counted as errors, and the service does not see them."""
        sent = self.turn([("a", GROUP), ("b", GROUP), ("c", CONTROL), ("d", GROUP)])
        self.assertEqual((sent, self.errors), (["c"], {"receive sent to a group": 3}))
        self.assertEqual(self.service.events[0], (1, 1))

    def test_turn(self) -> None:
        """A turn ends after a batch of one or none, and after a number of datagrams."""
        self.turn([("a", b"")], [("b", b"")])
        self.assertEqual(len(self.batch.batches), 1)
        self.turn([("a", b""), ("b", b"")], [], [("c", b"")])
        self.assertEqual(len(self.batch.batches), 1)
        full = [("x", b"")] * BATCH_DATAGRAMS
        self.turn(*[full] * 10)
        self.assertEqual(len(self.batch.sent), DATAGRAMS_BEFORE_TURN_ENDS)

    def test_receiveError(self) -> None:
        """A failed receive raises its error, after what was received before is answered."""
        error = self.assertRaises(OSError, self.turn, [("a", b""), ("b", b"")], ENOMEM)
        self.assertEqual((error.errno, len(self.batch.sent)), (ENOMEM, 2))
