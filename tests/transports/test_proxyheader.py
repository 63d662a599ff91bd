from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.proxyheader import (
    MAXIMUM_HEADER,
    MAXIMUM_LINE,
    HeaderParser,
    InvalidProxyHeader,
    ProxyHeader,
    ProxyProtocolVersion,
)
from tests.transports.proxyheaders import (
    ADDRESSES4,
    BLOCKS,
    HEADERS,
    INVALID,
    INVALID_BLOCKS,
    INVALID_LINES,
    LINES,
    LOCAL,
    MALFORMED,
    NO_HEADER,
    NOOP,
    PROXY,
    SHORT_TLVS,
    SIGNATURE,
    TCP4,
    TCP6,
    TLS,
    TOO_LONG,
    WRONG_CHECKSUM,
    Source,
    block,
    checked,
    flipped,
    tlv,
)


def outcome(
    versions: ProxyProtocolVersion, pieces: Iterable[bytes]
) -> tuple[Source, bytes] | str | None:
    """
    Feed a stream to a parser.

    :return: the source and all data after the header, or the error message, or ``None`` if the
        header is incomplete.
    """
    parser = HeaderParser(versions)
    left = iter(pieces)
    for piece in left:
        try:
            announced = parser.feed(piece)
        except InvalidProxyHeader as error:
            return str(error)
        if announced is not None:
            return announced.source, announced.rest + b"".join(left)
    return None


def byteByByte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def split(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, some of which may be empty."""
    ends = sorted(min(place, len(data)) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


places = st.lists(st.integers(0, 600), max_size=12)
#: Without the longest ones, which are slow byte by byte.
headers = st.sampled_from([header for header, _ in HEADERS if len(header) < 1000])
#: Prefixes that random data would rarely produce.
starts = st.sampled_from(
    [b"", b"P", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::", b"PROXY UNKNOWN"]
    + [SIGNATURE + rest for rest in (b"", b"\x20", b"\x21", b"\x21\x11\x00", b"\x21\x21\x00\x40")]
    + [block(PROXY, TCP4, ADDRESSES4, 12 + more) for more in (1, 3, 7, 10, 200)]
)
#: IPv6 addresses in all notations.
addresses6 = st.one_of(
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
    st.ip_addresses(v=4).map("::{}".format),
    st.ip_addresses(v=4).map("1:2:3:4:5:6:{}".format),
    st.integers(0, 7).map(lambda n: ":".join("12345678"[:n]) + "::"),
    st.integers(0, 7).map(lambda n: "::" + ":".join("12345678"[:n])),
    st.integers(1, 6).map(lambda n: ":".join("1234567"[:n]) + "::" + ":".join("1234567"[n:])),
)
addresses4 = st.ip_addresses(v=4).map(str)
ports = st.integers(0, 65535)


class HeaderParserTestCase(SynchronousTestCase):
    def assertAnySegments(self, data: bytes, places: list[int]) -> None:
        """For all accepted versions, the result does not depend on the segmentation."""
        for versions in ProxyProtocolVersion:
            whole = outcome(versions, [data])
            self.assertEqual(outcome(versions, byteByByte(data)), whole)
            self.assertEqual(outcome(versions, split(data, places)), whole)


class WholeHeaderTests(HeaderParserTestCase):
    def test_whole(self) -> None:
        """A header in one piece gives the source and the data after it."""
        for header, source in HEADERS:
            for rest in (b"", b"x", b"\r\nPROXY " * 2000):
                announced = HeaderParser(ProxyProtocolVersion.ANY).feed(header + rest)
                self.assertEqual(announced, ProxyHeader(source, rest), header)

    def test_byteByByte(self) -> None:
        """Every proper prefix of a header is incomplete; its last byte gives the source."""
        for header, source in HEADERS:
            parser = HeaderParser(ProxyProtocolVersion.ANY)
            *begun, last = byteByByte(header)
            self.assertEqual({parser.feed(byte) for byte in begun}, {None}, header)
            self.assertEqual(parser.feed(last), ProxyHeader(source, b""), header)

    def test_everyPrefix(self) -> None:
        """A prefix of a header in one piece is not an error."""
        for header, _ in HEADERS:
            for n in range(len(header)):
                self.assertIsNone(
                    HeaderParser(ProxyProtocolVersion.ANY).feed(header[:n]), header[:n]
                )

    @given(st.sampled_from(HEADERS), st.binary(max_size=50), places)
    def test_anySegments(
        self, header: tuple[bytes, Source], rest: bytes, places: list[int]
    ) -> None:
        """However the header and the data after it are split, the result is the same."""
        data, source = header
        found = outcome(ProxyProtocolVersion.ANY, split(data + rest, places))
        self.assertEqual(found, (source, rest))

    def test_nothing(self) -> None:
        """An empty piece is not an error."""
        for versions in ProxyProtocolVersion:
            self.assertIsNone(HeaderParser(versions).feed(b""))

    def test_versions(self) -> None:
        """A parser for one version rejects the other at its first byte, and accepts its own."""
        for version, headers, others in (
            (ProxyProtocolVersion.V1, LINES, BLOCKS),
            (ProxyProtocolVersion.V2, BLOCKS, LINES),
        ):
            for header, source in headers:
                self.assertEqual(outcome(version, [header]), (source, b""))
            for header, _ in others:
                self.assertEqual(outcome(version, [header[:1]]), NO_HEADER)

    @given(addresses6, addresses6, ports, ports)
    def test_line6(self, source: str, destination: str, sourcePort: int, port: int) -> None:
        """IPv6 addresses are accepted in any notation, and normalized."""
        header = f"PROXY TCP6 {source} {destination} {sourcePort} {port}\r\n".encode()
        expected = (str(IPv6Address(source)), sourcePort), b""
        if len(header) <= MAXIMUM_LINE:
            self.assertEqual(outcome(ProxyProtocolVersion.V1, byteByByte(header)), expected)

    @given(addresses4, addresses4, ports, ports)
    def test_line4(self, source: str, destination: str, sourcePort: int, port: int) -> None:
        """An IPv4 address is returned as received."""
        header = f"PROXY TCP4 {source} {destination} {sourcePort} {port}\r\n".encode()
        self.assertEqual(
            outcome(ProxyProtocolVersion.V1, byteByByte(header)), ((source, sourcePort), b"")
        )

    @given(st.ip_addresses(), ports, st.lists(st.binary(max_size=40), max_size=4))
    def test_block(self, source: IPv4Address | IPv6Address, port: int, values: list[bytes]) -> None:
        """A version 2 header gives the source, whatever TLVs follow it."""
        family, width = (TCP4, 4) if source.version == 4 else (TCP6, 16)
        addresses = source.packed + bytes(width) + struct.pack("!HH", port, 7)
        tlvs = b"".join(tlv(TLS, value) for value in values)
        for header in (block(PROXY, family, addresses + tlvs), checked(family, addresses, tlvs)):
            self.assertEqual(
                outcome(ProxyProtocolVersion.V2, byteByByte(header)), ((str(source), port), b"")
            )


class InvalidHeaderTests(HeaderParserTestCase):
    def test_phrases(self) -> None:
        """Every invalid header is rejected at its first wrong byte, with the specific message."""
        for invalid, phrase in INVALID:
            parser = HeaderParser(ProxyProtocolVersion.ANY)
            for byte in byteByByte(invalid[:-1]):
                self.assertIsNone(parser.feed(byte), invalid)
            error = self.assertRaises(InvalidProxyHeader, parser.feed, invalid[-1:])
            self.assertEqual(str(error), phrase, invalid)

    def test_whole(self) -> None:
        """The error is the same in one piece, with more data, and for a single version."""
        for versions, headers in (
            (ProxyProtocolVersion.V1, INVALID_LINES),
            (ProxyProtocolVersion.V2, INVALID_BLOCKS),
        ):
            for invalid, phrase in headers:
                for rest in (b"", b"x", b"\r\n", b"\n" * 9000):
                    self.assertEqual(
                        outcome(ProxyProtocolVersion.ANY, [invalid + rest]), phrase, invalid
                    )
                    self.assertEqual(outcome(versions, [invalid + rest]), phrase, invalid)

    def test_shortTlv(self) -> None:
        """A TLV without room for its type and length is rejected where it would begin."""
        for left in SHORT_TLVS:
            header = block(PROXY, TCP4, ADDRESSES4 + tlv(NOOP, b"a") + left)
            begun = header[: -len(left)]
            self.assertEqual(outcome(ProxyProtocolVersion.V2, [begun]), MALFORMED)
            self.assertIsNone(outcome(ProxyProtocolVersion.V2, [begun[:-2]]))

    def test_again(self) -> None:
        """After an error the parser raises the same error for any data."""
        for invalid, phrase in INVALID:
            parser = HeaderParser(ProxyProtocolVersion.ANY)
            for data in (invalid, b"", LINES[0][0]):
                self.assertEqual(
                    str(self.assertRaises(InvalidProxyHeader, parser.feed, data)), phrase
                )

    def test_noDataOfThePeer(self) -> None:
        """The error is a ValueError with a fixed message and no data of the peer or context."""
        self.assertTrue(issubclass(InvalidProxyHeader, ValueError))
        self.assertEqual(
            {phrase for _, phrase in INVALID}, {NO_HEADER, TOO_LONG, MALFORMED, WRONG_CHECKSUM}
        )
        error = self.assertRaises(
            InvalidProxyHeader, HeaderParser(ProxyProtocolVersion.V1).feed, b"PROXY TCP4 secret"
        )
        self.assertIsNone(error.__context__)

    def test_otherProtocols(self) -> None:
        """Data of other protocols is rejected at once."""
        for start in (b"G", b"PO", b"PRI", b"\x16", b"Hello, server!", b"\r\nG", b"\n", b"\x00"):
            for versions in ProxyProtocolVersion:
                self.assertEqual(outcome(versions, [start]), NO_HEADER)


class LimitTests(HeaderParserTestCase):
    def test_longestLine(self) -> None:
        """A line of 107 bytes is accepted; a longer one is rejected as early as possible."""
        for n, expected in ((0, (None, b"")), (1, TOO_LONG)):
            line = b"PROXY UNKNOWN" + b"a" * (MAXIMUM_LINE - 15 + n) + b"\r\n"
            self.assertEqual(len(line), 107 + n)
            self.assertEqual(outcome(ProxyProtocolVersion.V1, [line]), expected)
            self.assertEqual(outcome(ProxyProtocolVersion.V1, byteByByte(line)), expected)

    def test_longestBlock(self) -> None:
        """A header of 4096 bytes is accepted; a longer one is rejected at its length field."""
        self.assertEqual(MAXIMUM_HEADER, 4096)
        self.assertEqual(
            outcome(ProxyProtocolVersion.V2, [block(LOCAL, 0, bytes(4080))]), (None, b"")
        )
        self.assertEqual(outcome(ProxyProtocolVersion.V2, [block(LOCAL, 0, b"", 4081)]), TOO_LONG)
        self.assertEqual(
            outcome(ProxyProtocolVersion.V2, [block(PROXY, TCP4, b"", 0xFFFF)]), TOO_LONG
        )

    def test_manyTlvs(self) -> None:
        """The maximum number of TLVs is parsed, also byte by byte."""
        header = block(PROXY, TCP4, ADDRESSES4 + tlv(NOOP, b"") * 1356)
        self.assertEqual(len(header), MAXIMUM_HEADER)
        self.assertEqual(
            outcome(ProxyProtocolVersion.V2, byteByByte(header)), (("192.0.2.1", 56324), b"")
        )

    def test_checksumOfTheLongest(self) -> None:
        """The checksum covers a header of maximum size and no data after it."""
        header = checked(TCP4, ADDRESSES4, after=tlv(NOOP, bytes(4096 - 16 - 12 - 7 - 3)))
        self.assertEqual(len(header), MAXIMUM_HEADER)
        self.assertEqual(
            outcome(ProxyProtocolVersion.V2, [header + b"x"]), (("192.0.2.1", 56324), b"x")
        )
        self.assertEqual(
            outcome(ProxyProtocolVersion.V2, [flipped(header, 4095) + b"x"]), WRONG_CHECKSUM
        )


class ChecksumTests(HeaderParserTestCase):
    @given(st.integers(0, 8 * 16 - 1))
    def test_oneBit(self, bit: int) -> None:
        """One flipped bit in the addresses or the checksum is detected."""
        header = bytearray(checked(TCP4, ADDRESSES4, after=tlv(NOOP, b"abc")))
        index = (*range(16, 28), *range(31, 35))[bit // 8]
        header[index] ^= 1 << bit % 8
        self.assertEqual(outcome(ProxyProtocolVersion.V2, [bytes(header)]), WRONG_CHECKSUM)


class HostileTests(HeaderParserTestCase):
    @given(starts, st.binary(max_size=300), places)
    @example(b"PROXY TCP6 ::", b"%0 ", [])
    def test_randomBytes(self, start: bytes, data: bytes, places: list[int]) -> None:
        """Random data raises only InvalidProxyHeader, independently of the segmentation."""
        self.assertAnySegments(start + data, places)

    @given(
        st.sampled_from([b"PROXY TCP4 ", b"PROXY TCP6 "]),
        st.text(alphabet="0123456789abf:.% \r\n", max_size=110),
        places,
    )
    def test_randomLines(self, start: bytes, text: str, places: list[int]) -> None:
        """Random lines that resemble addresses raise only InvalidProxyHeader."""
        self.assertAnySegments(start + text.encode(), places)

    @given(headers, st.data(), places)
    def test_mutations(self, header: bytes, data: st.DataObject, places: list[int]) -> None:
        """Mutated headers raise only InvalidProxyHeader."""
        changed = bytearray(header)
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, min(len(changed), 300)))
            gone = data.draw(st.integers(0, 2))
            changed[start : start + gone] = data.draw(st.binary(max_size=2))
        self.assertAnySegments(bytes(changed) + b"the stream", places)
