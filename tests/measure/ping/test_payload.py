from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.payload import MAGIC, ProbePayload, difference

SESSION = b"\x01\x02\x03\x04"

#: When probes were sent, a millisecond apart.
SENT_AT = [1_000_000 * (number + 1) for number in range(400)]


def probes(size: int = 64, pattern: bytes = b"") -> ProbePayload:
    return ProbePayload(SESSION, size, pattern)


class MakeTests(SynchronousTestCase):
    def test_size(self) -> None:
        """A payload has the requested size, even if its header does not fit."""
        for size in (0, 1, 2, 3, 4, 7, 8, 19, 20, 21, 64, 65_507):
            for pattern in (b"", b"\xff\x00\x01"):
                self.assertEqual(len(probes(size, pattern).encode(7, 5)), size)

    def test_header(self) -> None:
        """A whole header has magic number, session, sequence number and time, big-endian."""
        made = probes(20).encode(258, 3)
        self.assertEqual(made, MAGIC + SESSION + bytes([0, 0, 1, 2]) + bytes([0] * 7 + [3]))

    def test_pattern(self) -> None:
        """A pattern fills the rest of a payload; otherwise no two probes have the same bytes."""
        self.assertEqual(probes(26, b"ab").encode(1, 1)[20:], b"ababab")
        self.assertNotEqual(probes().encode(1, 1)[20:], probes().encode(2, 1)[20:])
        self.assertEqual(probes().encode(1, 1), probes().encode(1, 1))

    def test_fallback(self) -> None:
        """Payloads that are too small for the header have a warning."""
        self.assertEqual(probes(20).fallback, "")
        for size, says in ((19, "time"), (7, "foreign"), (2, "2 bytes"), (0, "order")):
            self.assertIn(says, probes(size).fallback)


class FindTests(SynchronousTestCase):
    def test_right(self) -> None:
        """Every reply is identified, at every size that holds its sequence number."""
        for size in (4, 8, 19, 20, 64, 1400):
            made = probes(size)
            for sequence in (0, 1, 255, 256, 399):
                reply = made.encode(sequence, SENT_AT[sequence])
                self.assertEqual(made.identify(reply, SENT_AT), sequence, size)

    @given(st.integers(0, 399), st.integers(0, 63), st.integers(1, 255))
    def test_damaged(self, sequence: int, offset: int, flip: int) -> None:
        """A reply with one changed byte is still identified."""
        reply = bytearray(probes().encode(sequence, SENT_AT[sequence]))
        reply[offset] ^= flip
        self.assertEqual(probes().identify(bytes(reply), SENT_AT), sequence)

    def test_headerGone(self) -> None:
        """A reply with damaged number and time is identified by content, but not by a pattern."""
        for size in (40, 1400):
            reply = bytearray(probes(size).encode(7, SENT_AT[7]))
            reply[8:20] = b"?" * 12
            self.assertEqual(probes(size).identify(bytes(reply), SENT_AT), 7)
        reply = bytearray(probes(40, b"x").encode(7, SENT_AT[7]))
        reply[8:20] = b"?" * 12
        self.assertIsNone(probes(40, b"x").identify(bytes(reply), SENT_AT))

    def test_cut(self) -> None:
        """A truncated or extended reply is identified if its header is intact."""
        whole = probes().encode(9, SENT_AT[9])
        for reply in (whole[:20], whole[:40], whole + b"more"):
            self.assertEqual(probes().identify(reply, SENT_AT), 9)

    def test_foreign(self) -> None:
        """Noise, probes of other sessions and unsent probes are foreign."""
        random = Random(1)
        for _ in range(200):
            self.assertIsNone(probes().identify(random.randbytes(64), SENT_AT))
        for pattern in (b"", b"x"):
            other = ProbePayload(b"\xf0\xf1\xf2\xf3", 64, pattern)
            self.assertIsNone(probes(64, pattern).identify(other.encode(9, SENT_AT[9]), SENT_AT))
        self.assertIsNone(probes().identify(probes().encode(400, 401_000_000), SENT_AT))
        self.assertIsNone(probes().identify(b"", SENT_AT))

    def test_few(self) -> None:
        """With less than four bytes, the last probe with these low bytes is identified."""
        made = probes(1)
        self.assertEqual(made.identify(bytes([399 - 256]), SENT_AT), 399)
        self.assertEqual(made.identify(bytes([200]), SENT_AT), 200)
        self.assertIsNone(made.identify(bytes([200]), SENT_AT[:10]))
        self.assertIsNone(made.identify(b"ab", SENT_AT))

    def test_round(self) -> None:
        """A sequence number that has wrapped identifies the last probe that has it."""
        count = (1 << 32) + 10
        self.assertEqual(ProbePayload._latest(3, count), (1 << 32) + 3)
        self.assertEqual(ProbePayload._latest(11, count), 11)


class DifferenceTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """A difference has its offset, bytes of both sides, and the length if that differs."""
        for sent, received, says in (
            (b"\x00\x01\x02", b"\x00\xff\x02", "at byte 1 sent 01 02, received ff 02"),
            (b"\x00\x01", b"\x00", "1 byte long, at byte 1 sent 01, received nothing"),
            (b"\x00", b"\x00\x01", "2 bytes long, at byte 1 sent nothing, received 01"),
        ):
            self.assertEqual(str(difference(sent, received)), says)
        self.assertEqual(len(difference(bytes(100), b"\1" * 100).sent), 16)
