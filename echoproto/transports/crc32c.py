"""The checksum of PROXY headers: CRC-32C (RFC 9260 appendix A)."""

from __future__ import annotations


def crc32c(data: bytes) -> int:
    """The checksum of ``data``."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crcOfByte(remainder: int) -> int:
    for _ in range(8):
        # Castagnoli's polynomial, lowest bit first.
        remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder


_TABLE = tuple(map(_crcOfByte, range(256)))
