from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.streams import answers, everyByte, large, pipelined, singleBytes
from echoproto.conformance.results import Failed
from tests.conformance.lab import Faulty, StreamLab, faulty


class Silent(Faulty):
    """Answers nothing."""

    def dataReceived(self, data: bytes) -> None:
        pass


class Text(Faulty):
    """Takes all for text of seven bits."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(each & 0x7F for each in data))


class Large(Faulty):
    """Leaves out what comes alone."""

    def dataReceived(self, data: bytes) -> None:
        if len(data) > 1:
            self.transport.write(data)


class Tutorial(Faulty):
    """Takes each piece for one message of 1,024 bytes at the most."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data[:1024])


class Blocked(Faulty):
    """Echoes no more after a megabyte, as a server that waits for a full pipe."""

    echoed = 0

    def dataReceived(self, data: bytes) -> None:
        if self.echoed < 1_000_000:
            self.echoed += len(data)
            self.transport.write(data)


class StreamTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo passes them all."""
        for check in (answers, everyByte, singleBytes, pipelined, large):
            self.assertEqual(StreamLab().run(check), "")

    def test_answers(self) -> None:
        """Nobody is there who does not answer."""
        with self.assertRaisesRegex(Failed, "0 of 17 bytes came back, then nothing for 5 s"):
            faulty(Silent).run(answers)

    def test_everyByte(self) -> None:
        """A server that changes some values of a byte is found."""
        with self.assertRaisesRegex(Failed, "byte 128 was sent as 80 and came back as 00"):
            faulty(Text).run(everyByte)

    def test_singleBytes(self) -> None:
        """Bytes are sent one by one, and a server that loses such is found."""
        with self.assertRaisesRegex(Failed, "0 of 256 bytes came back"):
            faulty(Large).run(singleBytes)

    def test_pipelined(self) -> None:
        """A server that takes a piece for a message is found."""
        with self.assertRaisesRegex(Failed, "byte 1024 was sent as"):
            faulty(Tutorial).run(pipelined)

    def test_large(self) -> None:
        """A server that stalls where much is under way is found."""
        with self.assertRaisesRegex(Failed, "of 16777216 bytes came back, then nothing for 5 s"):
            faulty(Blocked).run(large)
