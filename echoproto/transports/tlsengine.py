"""
Encrypts and decrypts one TLS connection in memory; it knows neither transport nor time.

OpenSSL decrypts from and encrypts to memory that many connections share. They use it one after the
other: it is empty whenever a method of :class:`TLSEngine` has returned, whatever has failed. So it
is allocated once, and one receive brings many records. On the socket OpenSSL would need two system
calls to receive a record and one to send it.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from echoproto.transports.tlsrecords import endOfRecords, isRecord

#: Maximum bytes of one decryption: the longest record (RFC 8446 section 5.1).
READ_SIZE = 2**14

#: Records of one connection that are handled in one turn of the reactor: less than a millisecond.
#: One receive may hold 11,000 records of one byte, or as many requests for new keys, which OpenSSL
#: handles in one call.
RECORDS_PER_TURN = 64

#: Bytes that a client may send in a handshake until there is an answer, which OpenSSL keeps: it
#: would permit 128 KiB. A ClientHello has one or two; BoringSSL permits 16, Go 64. The certificates
#: of a client need more.
HANDSHAKE_LIMIT = 2**15


class TLSMemory:
    """
    The memory that connections share.

    :ivar incoming: what OpenSSL decrypts, of one connection at a time.
    :ivar outgoing: what OpenSSL has encrypted.
    """

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()


class TLSEngine:
    """
    The state of one connection.

    Any method may leave something to send: :meth:`dataToSend`, unless it returns that itself.

    :param memory: the memory that it shares.
    :param context: its protocol decides the role, client or server.
    :param hostname: for a client, the name or numeric address of the server.
    :raise ssl.SSLError: OpenSSL cannot begin.
    :raise MemoryError: no memory is left.
    :ivar undecrypted: received, and not yet given to OpenSSL: it gets whole records only.
    :ivar isSecured: whether the handshake is complete.
    :ivar endReceived: whether the peer's close_notify is received.
    :ivar error: why the connection has failed; what was decrypted before is returned nevertheless.
    """

    __slots__ = (
        "_incoming",
        "_tls",
        "_unanswered",
        "endReceived",
        "error",
        "isSecured",
        "outgoing",
        "undecrypted",
    )

    def __init__(self, memory: TLSMemory, context: ssl.SSLContext, hostname: str | None) -> None:
        self._incoming, self.outgoing = memory.incoming, memory.outgoing
        # Renegotiation would stop writing for the time of a handshake.
        context.options |= ssl.OP_NO_RENEGOTIATION
        self._tls = context.wrap_bio(
            self._incoming,
            self.outgoing,
            server_side=context.protocol is ssl.PROTOCOL_TLS_SERVER,
            server_hostname=hostname,
        )
        self.undecrypted = b""
        # Bytes of the handshake that OpenSSL has not answered.
        self._unanswered = 0
        self.isSecured = self.endReceived = False
        self.error: Exception | None = None

    @property
    def peerCertificate(self) -> object:
        """The peer's certificate, as ``ssl.SSLObject.getpeercert`` returns it."""
        return self._tls.getpeercert()

    @property
    def hasRecords(self) -> bool:
        """Whether a whole record, or what is no record, waits for its decryption."""
        return endOfRecords(self.undecrypted, 1) > 0

    def dataToSend(self) -> bytes:
        """The handshake, alerts, and OpenSSL's answers to requests for new keys."""
        return self.outgoing.read()

    def handshake(self, received: bytes) -> None:
        """Continue the handshake; records that follow it are kept."""
        try:
            self._take(received)
            given = self._incoming.pending
            with _quietAboutNames():
                self._tls.do_handshake()
            self.isSecured = True
        except ssl.SSLWantReadError:
            self._checkLength(given)
        except (ssl.SSLError, MemoryError) as error:
            self._fail(error)
        self.undecrypted = self._incoming.read() + self.undecrypted

    def _checkLength(self, given: int) -> None:
        """Count what OpenSSL has got of an incomplete handshake."""
        self._unanswered = 0 if self.outgoing.pending else self._unanswered + given
        if self._unanswered > HANDSHAKE_LIMIT and self._tls.server_side:
            self._fail(ssl.SSLError("the handshake is too long"))

    def decrypt(self, received: bytes) -> bytes:
        """
        Decrypt what was kept and ``received``, at most :data:`RECORDS_PER_TURN` records.

        :return: their data.
        """
        records: list[bytes] = []
        try:
            if isRecord(received) and not self.undecrypted:
                # The usual case, in fewer steps.
                self._incoming.write(received)
                if record := self._tls.read(READ_SIZE):
                    return record
                self.endReceived = True
            else:
                self._take(received)
                self._readInto(records)
        except ssl.SSLWantReadError:
            self.undecrypted = self._incoming.read() + self.undecrypted
        except ssl.SSLZeroReturnError:
            self.endReceived = True
        except (ssl.SSLError, MemoryError) as error:
            self._fail(error)
        if self.endReceived:
            self._discard()
        # This does not copy a single record.
        return b"".join(records)

    def encrypt(self, data: bytes) -> bytes:
        """The records of ``data``, which is not empty."""
        try:
            self._tls.write(data)
        except BaseException:
            # A part of them is of no use, and must not reach another peer.
            self.outgoing.read()
            raise
        return self.outgoing.read()

    def closeNotify(self) -> bytes:
        """Our close_notify; nothing can be encrypted after it."""
        # Python's unwrap() wants the peer's close_notify next, too; nothing is there for it.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        return self.outgoing.read()

    def _take(self, received: bytes) -> None:
        """Give the whole records to OpenSSL, and keep the rest."""
        if self.undecrypted:
            received = self.undecrypted + received
        end = endOfRecords(received, RECORDS_PER_TURN)
        if end == len(received):
            self.undecrypted = b""
            self._incoming.write(received)
        else:
            self.undecrypted = received[end:]
            self._incoming.write(memoryview(received)[:end])

    def _readInto(self, records: list[bytes]) -> None:
        """Decrypt what OpenSSL has got, to the end."""
        incoming, read = self._incoming, self._tls.read
        while incoming.pending:
            record = read(READ_SIZE)
            if not record:
                self.endReceived = True
                break
            records.append(record)

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._discard()

    def _discard(self) -> None:
        """Nothing more will be decrypted."""
        self.undecrypted = b""
        self._incoming.read()


@contextmanager
def _quietAboutNames() -> Iterator[None]:
    """
    Say nothing of a requested server name that is not ASCII. If a context has a callback for that
    name, Python fails the handshake, and passes the error to ``sys.unraisablehook`` as well: a
    client could fill the log with tracebacks.
    """
    outer = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, UnicodeDecodeError):
            outer(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = outer
