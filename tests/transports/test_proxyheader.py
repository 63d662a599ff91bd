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

NO_HEADER = "no PROXY header"
TOO_LONG = "PROXY header too long"
MALFORMED = "PROXY header malformed"
WRONG_CHECKSUM = "PROXY header checksum wrong"

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UDP6, UNIX, UNIX_DATAGRAM = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32
CHECKSUM, NOOP, TLS = 0x03, 0x04, 0x20

ADDRESSES4 = struct.pack(
    "!4s4sHH", IPv4Address("192.0.2.1").packed, IPv4Address("192.0.2.2").packed, 56324, 443
)
ADDRESSES6 = struct.pack(
    "!16s16sHH", IPv6Address("2001:db8::1").packed, IPv6Address("2001:db8::2").packed, 56324, 443
)
LAST6 = b":".join([b"ffff"] * 8)
LONGEST6 = b"0000:0000:0000:0000:0000:ffff:100.100.100.100"
ADDRESSES_UNIX = struct.pack("!108s108s", b"/run/client", b"/run/server")


def crc32c(data: bytes) -> int:
    """CRC-32C by bitwise long division, with the bits of each byte and of the result reversed."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in data)
    remainder = 0xFFFFFFFF
    for bit in bits:
        top = (remainder >> 31) ^ int(bit)
        remainder = ((remainder << 1) & 0xFFFFFFFF) ^ (0x1EDC6F41 if top else 0)
    return int(f"{remainder ^ 0xFFFFFFFF:032b}"[::-1], 2)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def block(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    """A version 2 header; ``length`` overrides the length that it states."""
    stated = len(body) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, stated) + body


def checked(family: int, addresses: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """A version 2 header with a correct checksum between other TLVs."""
    start = addresses + before
    zeroed = block(PROXY, family, start + tlv(CHECKSUM, bytes(4)) + after)
    checksum = struct.pack("!I", crc32c(zeroed))
    return block(PROXY, family, start + tlv(CHECKSUM, checksum) + after)


def flipped(data: bytes, index: int) -> bytes:
    """A copy of the data with one bit of one byte flipped."""
    return data[:index] + bytes((data[index] ^ 1,)) + data[index + 1 :]


Source = tuple[str, int] | None

#: Complete version 1 headers and their source addresses.
LINES: list[tuple[bytes, Source]] = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", ("192.0.2.1", 56324)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ("0.0.0.0", 0)),
    (b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n", ("2001:db8::1", 56324)),
    (b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 :: 56324 443\r\n", ("2001:db8::1", 56324)),
    (
        b"PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n",
        (str(IPv6Address("1:2:3:4:5:6:7:0")), 1),
    ),
    (
        b"PROXY TCP6 %b %b 65535 65535\r\n" % (LAST6, LAST6),
        (LAST6.decode(), 65535),
    ),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", (str(IPv6Address("::ffff:192.0.2.1")), 1)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 56324 443\r\n", None),
    (b"PROXY UNKNOWN  what\x00ever %\t\r\n", None),
    (b"PROXY UNKNOWN" + b" " * (MAXIMUM_LINE - 15) + b"\r\n", None),
]

#: Complete version 2 headers and their source addresses.
BLOCKS: list[tuple[bytes, Source]] = [
    (block(PROXY, TCP4, ADDRESSES4), ("192.0.2.1", 56324)),
    (block(PROXY, TCP6, ADDRESSES6), ("2001:db8::1", 56324)),
    (block(PROXY, UNIX, ADDRESSES_UNIX), None),
    (block(PROXY, UNIX, ADDRESSES_UNIX + tlv(NOOP, b"")), None),
    (block(PROXY, UDP4, ADDRESSES4), ("192.0.2.1", 56324)),
    (block(PROXY, UDP6, ADDRESSES6 + tlv(NOOP, b"")), ("2001:db8::1", 56324)),
    (block(PROXY, UNIX_DATAGRAM, ADDRESSES_UNIX), None),
    (block(PROXY, UNSPEC, b""), None),
    (block(PROXY, UNSPEC, b"addresses of a family that we do not know"), None),
    (block(LOCAL, UNSPEC, b""), None),
    (block(LOCAL, 0xFF, tlv(CHECKSUM, b"neither four bytes nor right")), None),
    (block(LOCAL, TCP4, b"short"), None),
    (block(PROXY, TCP4, ADDRESSES4 + tlv(NOOP, b"") + tlv(TLS, b"x" * 300)), ("192.0.2.1", 56324)),
    (block(PROXY, TCP4, ADDRESSES4 + tlv(NOOP, bytes(4065))), ("192.0.2.1", 56324)),
    (block(LOCAL, TCP4, bytes(4080)), None),
    (checked(TCP4, ADDRESSES4), ("192.0.2.1", 56324)),
    (checked(TCP6, ADDRESSES6, tlv(NOOP, b"ab"), tlv(TLS, b"c")), ("2001:db8::1", 56324)),
    (checked(UNIX, ADDRESSES_UNIX), None),
]

HEADERS = LINES + BLOCKS

#: Version 1 headers whose last byte is the first wrong one.
INVALID_LINES: list[tuple[bytes, str]] = [
    (b"Q", NO_HEADER),
    (b"p", NO_HEADER),
    (b"PROXZ", NO_HEADER),
    (b"PROXY\r", NO_HEADER),
    (b"PROXY  ", MALFORMED),
    (b"PROXY \r", MALFORMED),
    (b"PROXY X", MALFORMED),
    (b"PROXY TCP5", MALFORMED),
    (b"PROXY TCP44", MALFORMED),
    (b"PROXY TCP ", MALFORMED),
    (b"PROXY TCP4\r", MALFORMED),
    (b"PROXY TCP4\t", MALFORMED),
    (b"PROXY t", MALFORMED),
    (b"PROXY UNKNOWM", MALFORMED),
    (b"PROXY UNK ", MALFORMED),
    (b"PROXY UNK\r", MALFORMED),
    (b"PROXY UNKNOWN\n", MALFORMED),
    (b"PROXY UNKNOWN a\n", MALFORMED),
    (b"PROXY UNKNOWN\r\r", MALFORMED),
    (b"PROXY UNKNOWN a\ra", MALFORMED),
    (b"PROXY UNKNOWN \xe9", MALFORMED),
    (b"PROXY UNKNOWN" + b"a" * 93, TOO_LONG),
    (b"PROXY TCP4  ", MALFORMED),
    (b"PROXY TCP4 a", MALFORMED),
    (b"PROXY TCP4 :", MALFORMED),
    (b"PROXY TCP4 \xd9", MALFORMED),
    (b"PROXY TCP4 256", MALFORMED),
    (b"PROXY TCP4 01", MALFORMED),
    (b"PROXY TCP4 1..", MALFORMED),
    (b"PROXY TCP4 1.2.3 ", MALFORMED),
    (b"PROXY TCP4 1.2.3.4.", MALFORMED),
    (b"PROXY TCP4 1.2.3.4/", MALFORMED),
    (b"PROXY TCP4 1.2.3.4\r", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.444", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 :", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4  ", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 -", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 +", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 01", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1_", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 80\r", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 80 \r", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 80 80 ", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 80 80\n", MALFORMED),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 80 80\r\r", MALFORMED),
    (b"PROXY TCP6 1.", MALFORMED),
    (b"PROXY TCP6 :1", MALFORMED),
    (b"PROXY TCP6 1::2::", MALFORMED),
    (b"PROXY TCP6 12345", MALFORMED),
    (b"PROXY TCP6 g", MALFORMED),
    (b"PROXY TCP6 [", MALFORMED),
    (b"PROXY TCP6 1:2:3:4:5:6:7:8:", MALFORMED),
    (b"PROXY TCP6 1:2 ", MALFORMED),
    (b"PROXY TCP6 fe80::1%", MALFORMED),
    (b"PROXY TCP6 ::ffff:256.", MALFORMED),
    (
        b"PROXY TCP6 %b %b 123" % (LONGEST6, LONGEST6),
        TOO_LONG,
    ),
]

#: Version 2 headers whose last byte is the first wrong one.
INVALID_BLOCKS: list[tuple[bytes, str]] = [
    *((SIGNATURE[:n] + b"-", NO_HEADER) for n in range(len(SIGNATURE))),
    (SIGNATURE + b"\x11", MALFORMED),
    (SIGNATURE + b"\x31", MALFORMED),
    (SIGNATURE + b"\x22", MALFORMED),
    *((SIGNATURE + bytes((PROXY, family)), MALFORMED) for family in (0x01, 0x10, 0x13, 0x41, 0xFF)),
    (SIGNATURE + b"\x21\x11\x10", TOO_LONG),
    (SIGNATURE + b"\x21\x11\xff", TOO_LONG),
    (SIGNATURE + b"\x20\x00\x0f\xf1", TOO_LONG),
    (SIGNATURE + b"\x21\x00\x0f\xf1", TOO_LONG),
    (block(PROXY, TCP4, b"", 11), MALFORMED),
    (block(PROXY, TCP6, b"", 35), MALFORMED),
    (block(PROXY, UNIX, b"", 215), MALFORMED),
    (block(PROXY, UNIX, b"", 0), MALFORMED),
    (block(PROXY, TCP4, ADDRESSES4 + tlv(NOOP, bytes(9))[:3], 12 + 3 + 8), MALFORMED),
    (block(PROXY, TCP4, ADDRESSES4 + b"\x04\x01", 12 + 3 + 8), MALFORMED),
    (block(PROXY, TCP4, ADDRESSES4 + tlv(CHECKSUM, b"123")[:3], 12 + 6), MALFORMED),
    (block(PROXY, TCP4, ADDRESSES4 + tlv(CHECKSUM, b"12345")[:3], 12 + 8), MALFORMED),
    (
        block(
            PROXY, TCP4, ADDRESSES4 + tlv(CHECKSUM, b"1234") + tlv(CHECKSUM, b"")[:1] + b"\0\4", 26
        ),
        MALFORMED,
    ),
    (flipped(checked(TCP4, ADDRESSES4), 34), WRONG_CHECKSUM),
    (flipped(checked(TCP4, ADDRESSES4), 16), WRONG_CHECKSUM),
    (flipped(checked(TCP4, ADDRESSES4, after=tlv(TLS, b"x")), 38), WRONG_CHECKSUM),
]

INVALID = INVALID_LINES + INVALID_BLOCKS

#: Too few bytes for the start of a TLV: invalid at the end of the previous one.
SHORT_TLVS = (b"\x04", b"\x04\x00")


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
    def test_checkValue(self) -> None:
        """The CRC-32C of these tests gives the check value of its definition."""
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)

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
