from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.streams import (
    byteAtATime,
    largeMessage,
    streamAnswers,
    streamByteValues,
    streamPipelining,
)
from echoproto.conformance.results import Failed
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho, faultyServer


class Silent(FaultyEcho):
    """Answers nothing."""

    def dataReceived(self, data: bytes) -> None:
        pass


class Text(FaultyEcho):
    """Takes all for text of seven bits."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(each & 0x7F for each in data))


class Large(FaultyEcho):
    """Leaves out what comes alone."""

    def dataReceived(self, data: bytes) -> None:
        if len(data) > 1:
            self.transport.write(data)


class Tutorial(FaultyEcho):
    """Takes each piece for one message of 1,024 bytes at the most."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data[:1024])


class Blocked(FaultyEcho):
    """Echoes no more after a megabyte, as a server that waits for a full pipe."""

    echoed = 0

    def dataReceived(self, data: bytes) -> None:
        if self.echoed < 1_000_000:
            self.echoed += len(data)
            self.transport.write(data)


class StreamTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo passes them all."""
        for check in (streamAnswers, streamByteValues, byteAtATime, streamPipelining, largeMessage):
            self.assertEqual(FakeStreamServer().run(check), "")

    def test_answers(self) -> None:
        """Nobody is there who does not answer."""
        with self.assertRaisesRegex(Failed, "0 of 17 bytes returned, then nothing for 5 s"):
            faultyServer(Silent).run(streamAnswers)

    def test_everyByte(self) -> None:
        """A server that changes some values of a byte is found."""
        with self.assertRaisesRegex(Failed, "wrong byte at offset 128: sent 80, received 00"):
            faultyServer(Text).run(streamByteValues)

    def test_singleBytes(self) -> None:
        """Bytes are sent one by one, and a server that loses such is found."""
        with self.assertRaisesRegex(Failed, "0 of 256 bytes returned"):
            faultyServer(Large).run(byteAtATime)

    def test_pipelined(self) -> None:
        """A server that takes a piece for a message is found."""
        with self.assertRaisesRegex(Failed, "wrong byte at offset 1024: sent"):
            faultyServer(Tutorial).run(streamPipelining)

    def test_large(self) -> None:
        """A server that stalls where much is under way is found."""
        with self.assertRaisesRegex(Failed, "of 16777216 bytes returned, then nothing for 5 s"):
            faultyServer(Blocked).run(largeMessage)
