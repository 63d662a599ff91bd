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
    """Treats data as seven-bit text."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(byte & 0x7F for byte in data))


class Large(FaultyEcho):
    """Drops single bytes."""

    def dataReceived(self, data: bytes) -> None:
        if len(data) > 1:
            self.transport.write(data)


class Tutorial(FaultyEcho):
    """Treats every received segment as one message of at most 1,024 bytes."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data[:1024])


class Blocked(FaultyEcho):
    """Stops echoing after one megabyte, like a server that deadlocks on a full pipe."""

    echoed = 0

    def dataReceived(self, data: bytes) -> None:
        if self.echoed < 1_000_000:
            self.echoed += len(data)
            self.transport.write(data)


class StreamTests(SynchronousTestCase):
    def test_conforming(self) -> None:
        """The echo server passes all of these checks."""
        for check in (streamAnswers, streamByteValues, byteAtATime, streamPipelining, largeMessage):
            self.assertIsNone(FakeStreamServer().run(check))

    def test_answers(self) -> None:
        """A server that answers nothing fails."""
        with self.assertRaisesRegex(Failed, "0 of 17 bytes returned, then nothing for 5 s"):
            faultyServer(Silent).run(streamAnswers)

    def test_everyByte(self) -> None:
        """A server that changes some byte values fails."""
        with self.assertRaisesRegex(Failed, "wrong byte at offset 128: sent 80, received 00"):
            faultyServer(Text).run(streamByteValues)

    def test_byteAtATime(self) -> None:
        """A server that drops bytes sent one at a time fails."""
        with self.assertRaisesRegex(Failed, "0 of 256 bytes returned"):
            faultyServer(Large).run(byteAtATime)

    def test_pipelined(self) -> None:
        """A server that treats a segment as a message fails."""
        with self.assertRaisesRegex(Failed, "wrong byte at offset 1024: sent"):
            faultyServer(Tutorial).run(streamPipelining)

    def test_large(self) -> None:
        """A server that stalls on a large message fails."""
        with self.assertRaisesRegex(Failed, "of 16777216 bytes returned, then nothing for 5 s"):
            faultyServer(Blocked).run(largeMessage)
