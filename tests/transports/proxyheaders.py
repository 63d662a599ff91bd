"""PROXY headers of all kinds: complete ones with their sources, and invalid ones."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from echoproto.transports.proxyheader import (
    MAXIMUM_LINE,
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
