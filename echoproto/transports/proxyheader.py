"""
A parser for PROXY protocol headers, versions 1 and 2.

It gets the first bytes of a connection, in pieces of any size. A header is refused at the first
byte that makes it invalid, so the result does not depend on the pieces. Section numbers are those
of HAProxy's ``proxy-protocol.txt``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

from echoproto.protocols.admission.refusals import Refusal

#: Maximum bytes of a header. Addresses need 232 at most; the TLVs after them hold names, ciphers,
#: the subject of a TLS client and additions of cloud providers: some hundred bytes. The length
#: field alone would allow 64 KiB to be held for a client that is not admitted yet.
MAXIMUM_HEADER = 4096

#: Maximum bytes of a line of version 1, with its CRLF (section 2.1).
MAXIMUM_LINE = 107

_LINE_SIGNATURE = b"PROXY "
_BLOCK_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

#: In version 2: version and command, the 13th byte; bytes before the addresses; a type of TLV.
_LOCAL, _PROXY = 0x20, 0x21
_FIXED = 16
_CHECKSUM_TLV = 0x03

#: Bytes of both addresses and ports in version 2, by the byte of family and protocol: unspecified,
#: then TCP and UDP over IPv4, TCP and UDP over IPv6, streams and datagrams of UNIX sockets. A
#: receiver on TCP accepts them all, as HAProxy, nginx and Envoy do; section 2.2.
_ADDRESS_SIZES = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}

#: One of these completes an address or a port that was cut; if none does, it is invalid.
_TAILS = ("", "0", "::", ":", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0")

_Source = tuple[str, int] | None
_FAMILIES: dict[str, Callable[[str], object]] = {"TCP4": IPv4Address, "TCP6": IPv6Address}


class ProxyProtocolVersion(Enum):
    """The versions that a listener accepts."""

    V1 = "v1"
    V2 = "v2"
    ANY = "any"


class InvalidProxyHeader(ValueError):
    """The data is no PROXY header. The message has no data of the peer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True)
class ProxyHeader:
    """
    A complete header.

    :ivar source: the client's numeric address, as :mod:`ipaddress` writes it, and its port;
        ``None`` if the header has none (LOCAL, UNKNOWN, UNSPEC, UNIX): then the proxy itself is the
        client, for example to check the server. An IPv4-mapped address stays in IPv6.
    :ivar rest: the data after the header, the beginning of the stream.
    """

    source: _Source
    rest: bytes


class HeaderParser:
    """
    Parses one header. Keeps at most :data:`MAXIMUM_HEADER` bytes.

    :param versions: the accepted versions. With both, the first byte decides.
    """

    def __init__(self, versions: ProxyProtocolVersion) -> None:
        self._versions = versions
        self._held = b""
        self._block = _V2Parser()

    def feed(self, data: bytes) -> ProxyHeader | None:
        """
        Parse the next bytes. Must not be called after it has returned a header; after an error it
        raises the same error again.

        :return: the header; ``None`` while it is incomplete.
        :raise InvalidProxyHeader: the data cannot become a header.
        """
        before = len(self._held)
        self._held += data[: MAXIMUM_HEADER - before]
        isLine = self._versions is ProxyProtocolVersion.V1
        if self._versions is ProxyProtocolVersion.ANY:
            isLine = self._held.startswith(b"P")
        whole = _parseV1(self._held) if isLine else self._block.read(self._held)
        if whole is None:
            return None
        end, source = whole
        return ProxyHeader(source, data[end - before :])


def _expect(signature: bytes, held: bytes) -> None:
    if held[: len(signature)] != signature[: len(held)]:
        raise InvalidProxyHeader(Refusal.NO_HEADER)


def _parseV1(held: bytes) -> tuple[int, _Source] | None:
    """The length and source of a header in ``held``; ``None`` while it is incomplete."""
    _expect(_LINE_SIGNATURE, held)
    line, ended, _ = held[: MAXIMUM_LINE - 1].partition(b"\r")
    if not line.isascii():
        raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
    source = _sourceInLine(line[len(_LINE_SIGNATURE) :].decode("ascii"), bool(ended))
    if not ended and len(line) == MAXIMUM_LINE - 1:
        raise InvalidProxyHeader(Refusal.LONG_HEADER)
    end = len(line) + 2
    ending = held[len(line) : end]
    # Section 2.1: "must not tolerate a single CR or LF character to end the line".
    if not b"\r\n".startswith(ending):
        raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
    return (end, source) if ending == b"\r\n" else None


def _sourceInLine(text: str, whole: bool) -> _Source:
    """
    The source in a line; ``None`` if there is none, or while the line is incomplete.

    :param text: the received part of the line after ``PROXY`` and its space.
    :param whole: whether that is all of it.
    :raise InvalidProxyHeader: it cannot become valid.
    """
    if text.startswith("UNKNOWN"):
        if "\n" in text:
            raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
        return None
    name, *words = text.split(" ")
    if not whole and not words and any(n.startswith(name) for n in (*_FAMILIES, "UNKNOWN")):
        return None
    if name not in _FAMILIES or not _areValid(words, _FAMILIES[name], whole):
        raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
    return (str(ip_address(words[0])), int(words[2])) if whole else None


def _areValid(words: list[str], family: Callable[[str], object], whole: bool) -> bool:
    """Whether two addresses and two ports are valid, or, unless ``whole``, can become valid."""
    if len(words) > 4 or (whole and len(words) < 4):
        return False
    *done, last = words
    address: Callable[[str], bool] = partial(_isAddress, family)
    checks = (address, address, _isPort, _isPort)
    tails = ("",) if whole else _TAILS
    return all(check(word) for check, word in zip(checks, done, strict=False)) and any(
        checks[len(done)](last + tail) for tail in tails
    )


def _isAddress(family: Callable[[str], object], word: str) -> bool:
    try:
        family(word)
    except ValueError:
        return False
    # A scope has no meaning on another host.
    return "%" not in word


def _isPort(word: str) -> bool:
    return word.isdecimal() and word == str(int(word)) and int(word) <= 0xFFFF


class _V2Parser:
    """Checks each TLV once: to check all again at every byte could take a second."""

    def __init__(self) -> None:
        self._nextTlv = self._checksum = 0

    def read(self, held: bytes) -> tuple[int, _Source] | None:
        """The length and source of a header in ``held``; ``None`` while it is incomplete."""
        _expect(_BLOCK_SIGNATURE, held)
        end = _endOfBlock(held[len(_BLOCK_SIGNATURE) : _FIXED])
        # Section 2.2: the data after LOCAL is discarded; for UNSPEC it may hold addresses of
        # unknown size, so the position of its TLVs is unknown.
        skipped = held[12:13] == bytes((_LOCAL,)) or held[13:14] == b"\x00"
        if len(held) >= _FIXED and not skipped:
            self._nextTlv = self._nextTlv or _FIXED + _ADDRESS_SIZES[held[13]]
            self._checkTlvs(held[:end], end)
        if len(held) < end:
            return None
        return end, None if skipped else _sourceInBlock(held)

    def _checkTlvs(self, header: bytes, end: int) -> None:
        """Check that TLVs fill the header, as far as received, and at the end the checksum."""
        while self._nextTlv < end:
            value = self._nextTlv + 3
            size = int.from_bytes(header[self._nextTlv + 1 : value].ljust(2, b"\x00"), "big")
            if value + size > end:
                raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
            if value > len(header):
                return
            if header[self._nextTlv] == _CHECKSUM_TLV:
                if self._checksum or size != 4:
                    raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
                self._checksum = value
            self._nextTlv = value + size
        # Section 2.2.3: the checksum is computed with zeros in its place.
        at, rest = self._checksum, self._checksum + 4
        if at and len(header) == end:
            # Imported here: it computes a table, and few proxies send a checksum.
            from echoproto.transports.crc32c import crc32c

            zeroed = header[:at] + bytes(4) + header[rest:]
            if int.from_bytes(header[at:rest], "big") != crc32c(zeroed):
                raise InvalidProxyHeader(Refusal.WRONG_CHECKSUM)


def _endOfBlock(fixed: bytes) -> int:
    """
    The end of a header of version 2; a lower bound while its length is incomplete.

    :param fixed: the received part of the four bytes after the signature.
    """
    if fixed and fixed[0] not in (_LOCAL, _PROXY):
        raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
    addresses = 0
    if len(fixed) > 1 and fixed[0] == _PROXY:
        if fixed[1] not in _ADDRESS_SIZES:
            raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
        addresses = _ADDRESS_SIZES[fixed[1]]
    length = int.from_bytes(fixed[2:].ljust(2, b"\x00"), "big")
    if _FIXED + length > MAXIMUM_HEADER:
        raise InvalidProxyHeader(Refusal.LONG_HEADER)
    if len(fixed) == 4 and length < addresses:
        raise InvalidProxyHeader(Refusal.MALFORMED_HEADER)
    return _FIXED + length


def _sourceInBlock(held: bytes) -> _Source:
    width = (_ADDRESS_SIZES[held[13]] - 4) // 2
    if width not in (4, 16):
        return None
    host = ip_address(held[_FIXED : _FIXED + width])
    ports = _FIXED + 2 * width
    return str(host), int.from_bytes(held[ports : ports + 2], "big")
