"""
The header in which a proxy announces its client: the PROXY protocol, versions 1 and 2.

Fed by :mod:`echoproto.transports.proxyprotocol` with what comes first on a connection, in any pieces. Knows no socket,
and not who may be believed. Section numbers are those of HAProxy's ``proxy-protocol.txt``.

A header is refused at the first byte with which it cannot be one any more, so what a peer did wrong has
one answer however its bytes were cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

#: Bytes of the longest header that is taken. Addresses need 232 at most; the TLVs after them hold names,
#: ciphers and the subject of a TLS client, and what a cloud adds: some hundred bytes. The
#: length field alone would allow 64 KiB to be held for a client that has no place yet.
MAXIMUM_HEADER = 4096

#: Bytes of the longest line of version 1, with its CRLF (section 2.1).
MAXIMUM_LINE = 107

#: What every :class:`InvalidProxyHeader` says.
NO_HEADER = "no PROXY header"
TOO_LONG = "PROXY header too long"
MALFORMED = "PROXY header malformed"
WRONG_CHECKSUM = "PROXY header checksum wrong"

_LINE_SIGNATURE = b"PROXY "
_BLOCK_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

#: Version and command, the 13th byte of version 2.
_LOCAL, _PROXY = 0x20, 0x21

#: Bytes before the addresses in version 2.
_FIXED = 16

#: Bytes of both addresses and ports in version 2, by its byte of family and protocol: those that a stream
#: can have, which are none said, TCP over IPv4, TCP over IPv6 and UNIX.
_ADDRESS_SIZES = {0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216}

#: Bytes of one address, where it is one of TCP.
_ADDRESS_WIDTHS = {0x11: 4, 0x21: 16}

_CHECKSUM_TLV = 0x03

#: Where an address or a port was cut, one of these makes it whole; if none does, nothing will.
_TAILS = ("", "0", "::", ":", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0")

_Source = tuple[str, int] | None
_Family = type[IPv4Address] | type[IPv6Address]

_FAMILIES: dict[str, _Family] = {"TCP4": IPv4Address, "TCP6": IPv6Address}


class ProxyProtocolVersion(Enum):
    """What a listener takes."""

    V1 = "v1"
    V2 = "v2"
    ANY = "any"


class InvalidProxyHeader(ValueError):
    """What came is no header. The message is one of four phrases, with nothing of the peer's in it."""


@dataclass(frozen=True)
class ProxyHeader:
    """
    A whole header.

    :ivar source: the client's numeric address, as :mod:`ipaddress` writes it, and its port; ``None`` where
        the header names none: then the connection's own address counts. IPv4 mapped into
        IPv6 is left in IPv6.
    :ivar rest: what came after the header, the beginning of the stream.
    """

    source: tuple[str, int] | None
    rest: bytes


class HeaderParser:
    """
    Reads one header. Keeps at most :data:`MAXIMUM_HEADER` bytes.

    :param versions: what is taken. For both versions the first byte decides.
    """

    def __init__(self, versions: ProxyProtocolVersion) -> None:
        self._versions = versions
        self._held = b""
        self._block = _V2Parser()

    def feed(self, data: bytes) -> ProxyHeader | None:
        """
        Take the next bytes. Must not be called after it has given a header; after an error it
        raises the same again.

        :return: the header; ``None`` while it is not whole.
        :raise InvalidProxyHeader: what came cannot become a header.
        """
        before = len(self._held)
        self._held += data[: MAXIMUM_HEADER - before]
        first = ProxyProtocolVersion.V1 if self._held.startswith(b"P") else ProxyProtocolVersion.V2
        version = first if self._versions is ProxyProtocolVersion.ANY else self._versions
        read = _parseV1 if version is ProxyProtocolVersion.V1 else self._block.read
        whole = read(self._held)
        if whole is None:
            return None
        end, source = whole
        return ProxyHeader(source, data[end - before :])


def _expect(signature: bytes, held: bytes) -> None:
    if held[: len(signature)] != signature[: len(held)]:
        raise InvalidProxyHeader(NO_HEADER)


def _parseV1(held: bytes) -> tuple[int, _Source] | None:
    """The length and source of a header of version 1; ``None`` while it is not whole."""
    _expect(_LINE_SIGNATURE, held)
    line, ended, _ = held[: MAXIMUM_LINE - 1].partition(b"\r")
    if not line.isascii():
        raise InvalidProxyHeader(MALFORMED)
    source = _sourceInLine(line[len(_LINE_SIGNATURE) :].decode("ascii"), bool(ended))
    if not ended and len(line) == MAXIMUM_LINE - 1:
        raise InvalidProxyHeader(TOO_LONG)
    end = len(line) + 2
    ending = held[len(line) : end]
    # Section 2.1: "must not tolerate a single CR or LF character to end the line".
    if not b"\r\n".startswith(ending):
        raise InvalidProxyHeader(MALFORMED)
    return (end, source) if ending == b"\r\n" else None


def _sourceInLine(text: str, whole: bool) -> _Source:
    """
    The source that a line names; ``None`` also where more has to come.

    :param text: what has come of the line after ``PROXY`` and its space.
    :param whole: whether that is all of it.
    :raise InvalidProxyHeader: it cannot become right.
    """
    if text.startswith("UNKNOWN"):
        if "\n" in text:
            raise InvalidProxyHeader(MALFORMED)
        return None
    name, *words = text.split(" ")
    if not whole and not words and any(n.startswith(name) for n in (*_FAMILIES, "UNKNOWN")):
        return None
    if name not in _FAMILIES or not _areRight(words, _FAMILIES[name], whole):
        raise InvalidProxyHeader(MALFORMED)
    return (str(ip_address(words[0])), int(words[2])) if whole else None


def _areRight(words: list[str], family: _Family, whole: bool) -> bool:
    """Whether two addresses and two ports are right; unless ``whole``, as far as they have come."""
    if len(words) > 4 or (whole and len(words) < 4):
        return False
    *done, last = words
    address = partial(_isAddress, family)
    checks: tuple[Callable[[str], bool], ...] = (address, address, _isPort, _isPort)
    tails = ("",) if whole else _TAILS
    return all(check(word) for check, word in zip(checks, done, strict=False)) and any(
        checks[len(done)](last + tail) for tail in tails
    )


def _isAddress(family: _Family, word: str) -> bool:
    try:
        family(word)
    except ValueError:
        return False
    # A scope means nothing away from the host that has it.
    return "%" not in word


def _isPort(word: str) -> bool:
    return word.isdecimal() and word == str(int(word)) and int(word) <= 0xFFFF


class _V2Parser:
    """
    A header of version 2. Remembers which TLVs it has seen: a header full of empty ones, byte by byte,
    would otherwise cost a second.
    """

    def __init__(self) -> None:
        self._nextTlv = 0
        self._checksum = 0

    def read(self, held: bytes) -> tuple[int, _Source] | None:
        """
        The header's length and source; ``None`` while it is not whole.

        :param held: all that has come.
        """
        _expect(_BLOCK_SIGNATURE, held)
        end = _endOfBlock(held[len(_BLOCK_SIGNATURE) : _FIXED])
        # Section 2.2: for LOCAL all that follows is discarded; for UNSPEC it may hold addresses of a
        # size that nobody knows, so where its TLVs begin is not known either.
        skipped = held[12:13] == bytes((_LOCAL,)) or held[13:14] == b"\x00"
        if len(held) >= _FIXED and not skipped:
            self._nextTlv = self._nextTlv or _FIXED + _ADDRESS_SIZES[held[13]]
            self._checkTlvs(held[:end], end)
        if len(held) < end:
            return None
        return end, None if skipped else _sourceInBlock(held)

    def _checkTlvs(self, header: bytes, end: int) -> None:
        """Check that TLVs fill the header, as far as it has come; then that its checksum is right."""
        while self._nextTlv < end:
            value = self._nextTlv + 3
            size = int.from_bytes(header[self._nextTlv + 1 : value].ljust(2, b"\x00"), "big")
            if value + size > end:
                raise InvalidProxyHeader(MALFORMED)
            if value > len(header):
                return
            if header[self._nextTlv] == _CHECKSUM_TLV:
                if self._checksum or size != 4:
                    raise InvalidProxyHeader(MALFORMED)
                self._checksum = value
            self._nextTlv = value + size
        if self._checksum and len(header) == end:
            _verify(header, self._checksum)


def _endOfBlock(fixed: bytes) -> int:
    """
    Where the header of version 2 ends; at the least, while its length has not come.

    :param fixed: what has come of the four bytes after the signature.
    """
    if fixed and fixed[0] not in (_LOCAL, _PROXY):
        raise InvalidProxyHeader(MALFORMED)
    addresses = 0
    if len(fixed) > 1 and fixed[0] == _PROXY:
        # Datagram protocols are not among them: this is a stream.
        if fixed[1] not in _ADDRESS_SIZES:
            raise InvalidProxyHeader(MALFORMED)
        addresses = _ADDRESS_SIZES[fixed[1]]
    length = int.from_bytes(fixed[2:].ljust(2, b"\x00"), "big")
    if _FIXED + length > MAXIMUM_HEADER:
        raise InvalidProxyHeader(TOO_LONG)
    if len(fixed) == 4 and length < addresses:
        raise InvalidProxyHeader(MALFORMED)
    return _FIXED + length


def _verify(header: bytes, at: int) -> None:
    # Section 2.2.3: the checksum is that of the header with zeros in its place.
    zeroed = header[:at] + bytes(4) + header[at + 4 :]
    if int.from_bytes(header[at : at + 4], "big") != _crc32c(zeroed):
        raise InvalidProxyHeader(WRONG_CHECKSUM)


def _crc32c(data: bytes) -> int:
    """The CRC-32C of RFC 9260 appendix A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crcOfByte(remainder: int) -> int:
    for _ in range(8):
        # Castagnoli's polynomial, lowest bit first.
        remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder


_CRC_TABLE = tuple(map(_crcOfByte, range(256)))


def _sourceInBlock(held: bytes) -> _Source:
    width = _ADDRESS_WIDTHS.get(held[13])
    if width is None:
        return None
    host = ip_address(held[_FIXED : _FIXED + width])
    ports = _FIXED + 2 * width
    return str(host), int.from_bytes(held[ports : ports + 2], "big")
