"""Finding the records of TLS in received data."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.tlsrecords import LENGTH_LIMIT, endOfRecords, isRecord


def record(length: int, kind: int = 23) -> bytes:
    """A record of this type, with a body of that length."""
    return bytes([kind, 3, 3]) + length.to_bytes(2, "big") + bytes(length)


class EndOfRecordsTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Complete records are counted with their headers, those without data too."""
        for data in (b"", record(0), record(300), record(1, 20) + record(0, 21) + record(9, 22)):
            self.assertEqual(endOfRecords(data, 64), len(data))

    def test_incomplete(self) -> None:
        """An incomplete record at the end is left, wherever it is cut."""
        first, second = record(300), record(7)
        for cut in range(len(second)):
            self.assertEqual(endOfRecords(first + second[:cut], 64), len(first))
            self.assertEqual(endOfRecords(second[:cut], 64), 0)

    def test_limit(self) -> None:
        """At most so many records are taken."""
        self.assertEqual(endOfRecords(3 * record(1), 2), 2 * len(record(1)))

    def test_noRecord(self) -> None:
        """What is no record is taken whole, for OpenSSL to report, but after the records."""
        for other in (b"GET / HTTP/1.1\r\n", record(LENGTH_LIMIT + 1), bytes(9)):
            self.assertEqual(endOfRecords(other, 64), len(other))
            self.assertEqual(endOfRecords(record(1) + other, 64), len(record(1)))
        self.assertEqual(endOfRecords(record(LENGTH_LIMIT)[:-1], 64), 0)


class IsRecordTests(SynchronousTestCase):
    def test_one(self) -> None:
        """One complete record of application data is one, whatever its length."""
        for length in (1, 255, 256, LENGTH_LIMIT):
            self.assertTrue(isRecord(record(length)))

    def test_other(self) -> None:
        """Incomplete, several and other records, and records without data, are not."""
        one = record(300)
        others = (
            b"",
            one[:1],
            one[:5],
            one[:-1],
            one + one[:1],
            one + one,
            record(9, 22),
            record(0),
        )
        for other in others:
            self.assertFalse(isRecord(other))
