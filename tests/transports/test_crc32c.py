from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.crc32c import crc32c
from tests.transports import proxyheaders


class ChecksumTests(SynchronousTestCase):
    def test_checkValue(self) -> None:
        """The check value is that of its definition."""
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)

    @given(st.binary(max_size=300))
    def test_division(self, data: bytes) -> None:
        """It is the remainder of the division bit by bit."""
        self.assertEqual(crc32c(data), proxyheaders.crc32c(data))
