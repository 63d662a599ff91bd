"""Finds the records of TLS in received data (RFC 8446 section 5.1), without decrypting them."""

from __future__ import annotations

#: Bytes in front of a record: its type, its version, and the length of the rest.
HEADER_SIZE = 5

#: The types of records: change of cipher, alert, handshake, application data.
TYPES = frozenset(range(20, 24))

#: The last of them.
APPLICATION_DATA = 23

#: Maximum length of the rest: TLS 1.2 allows 2,048 bytes more than plaintext, 1.3 allows 256.
LENGTH_LIMIT = 2**14 + 2**11


def isRecord(data: bytes) -> bool:
    """Whether ``data`` is one complete record of application data, and nothing else."""
    length = len(data) - HEADER_SIZE
    return length > 0 and data[0] == APPLICATION_DATA and data[3] << 8 | data[4] == length


def endOfRecords(data: bytes, limit: int) -> int:
    """
    The number of bytes at the beginning of ``data`` that are complete records.

    If the data does not begin with a record, this is all of it: OpenSSL reports the error.

    :param data: begins where a record should begin.
    :param limit: maximum number of records.
    """
    end, size = 0, len(data)
    while limit and size - end >= HEADER_SIZE:
        length = data[end + 3] << 8 | data[end + 4]
        if data[end] not in TYPES or length > LENGTH_LIMIT:
            return end or size
        after = end + HEADER_SIZE + length
        if after > size:
            break
        end = after
        limit -= 1
    return end
