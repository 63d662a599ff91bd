"""Encryption and decryption of TLS connections in memory that they share."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from unittest import mock

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.tlsengine import (
    HANDSHAKE_LIMIT,
    READ_SIZE,
    RECORDS_PER_TURN,
    TLSEngine,
    TLSMemory,
)
from tests.certificates import clientContext, serverContext
from tests.transports.tlscase import LONG


class TLSEngineTests(SynchronousTestCase):
    """A client and a server that share their memory."""

    def setUp(self) -> None:
        self.memory = TLSMemory()
        self.server = TLSEngine(self.memory, serverContext(), None)
        self.client = TLSEngine(self.memory, clientContext(), "localhost")
        self.addCleanup(self.assertMemoryEmpty)

    def assertMemoryEmpty(self) -> None:
        self.assertEqual((self.memory.incoming.pending, self.memory.outgoing.pending), (0, 0))

    def shakeHands(self) -> None:
        """Complete the handshake."""
        received = b""
        for _ in range(2):
            for engine in (self.client, self.server):
                engine.handshake(received)
                received = engine.dataToSend()
        # The tickets of the server.
        self.assertEqual(self.client.decrypt(received), b"")
        self.assertMemoryEmpty()

    def test_handshake(self) -> None:
        """The handshake ends after two round trips, and brings the peer's certificate."""
        self.shakeHands()
        self.assertTrue(self.client.isSecured and self.server.isSecured)
        self.assertIsNone(self.client.error or self.server.error)
        self.assertIsInstance(self.client.peerCertificate, dict)
        self.assertIsNone(self.server.peerCertificate)

    def test_longHandshake(self) -> None:
        """
        A client that sends too much of a handshake without an answer fails, in records of any size.
        """
        for size in (1000, READ_SIZE):
            self.server = TLSEngine(self.memory, serverContext(), None)
            start = b"\x01\x02\x00\x00\x03\x03"
            header = b"\x16\x03\x01" + size.to_bytes(2, "big")
            sent = 0
            while self.server.error is None:
                self.server.handshake(header + start.ljust(size, b"a"))
                start = b""
                sent += size
            self.assertIsInstance(self.server.error, ssl.SSLError)
            self.assertLessEqual(sent, HANDSHAKE_LIMIT + size)
            self.assertGreater(sent, HANDSHAKE_LIMIT - size)

    def test_longAnswer(self) -> None:
        """The handshake of a server may be longer, because its certificates may be."""
        self.client.handshake(b"")
        self.client.dataToSend()
        body = b"\x02\x00\x40\x00"
        self.client.handshake(b"")
        self.client._unanswered = HANDSHAKE_LIMIT
        self.client.handshake(b"\x16\x03\x03\x00\x04" + body)
        self.assertIsNone(self.client.error)

    def requestName(self, name: bytes, callback: Callable[..., object]) -> None:
        """Let a server with a callback receive a request for a name of five bytes."""
        context = serverContext()
        context.sni_callback = callback  # type: ignore[assignment]
        self.server = TLSEngine(self.memory, context, None)
        self.client = TLSEngine(self.memory, clientContext(), "aaaaa")
        self.client.handshake(b"")
        self.server.handshake(self.client.dataToSend().replace(b"aaaaa", name))
        self.server.dataToSend()

    def test_invalidName(self) -> None:
        """A requested server name that is not ASCII fails the handshake, and nothing else."""
        unraisable: list[object] = []
        self.patch(sys, "unraisablehook", unraisable.append)
        self.requestName(b"\xffaaaa", lambda *arguments: None)
        self.assertIsInstance(self.server.error, ssl.SSLError)
        self.assertEqual(unraisable, [])

    def test_failedCallback(self) -> None:
        """Another error in a callback is reported as ever."""
        unraisable: list[type] = []
        self.patch(sys, "unraisablehook", lambda args: unraisable.append(args.exc_type))
        self.requestName(b"aaaab", lambda *arguments: 1 // 0)
        self.assertIsInstance(self.server.error, ssl.SSLError)
        self.assertEqual(unraisable, [ZeroDivisionError])

    def test_handshakeByteByByte(self) -> None:
        """A handshake may be received in the smallest pieces, and data may follow its end."""
        self.client.handshake(b"")
        for byte in self.client.dataToSend():
            self.server.handshake(bytes([byte]))
        self.client.handshake(self.server.dataToSend())
        finished = self.client.dataToSend()
        early = self.client.encrypt(b"early")
        self.server.handshake(finished + early)
        self.assertTrue(self.server.isSecured)
        self.server.dataToSend()
        self.assertTrue(self.server.hasRecords)
        self.assertEqual(self.server.decrypt(b""), b"early")
        self.assertFalse(self.server.hasRecords)

    def test_handshakeFails(self) -> None:
        """A failed handshake has an error, and keeps nothing."""
        self.server.handshake(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIsInstance(self.server.error, ssl.SSLError)
        self.assertFalse(self.server.isSecured)
        self.assertEqual(self.server.undecrypted, b"")

    def test_data(self) -> None:
        """Data of any length is decrypted, however the records are cut."""
        self.shakeHands()
        for size in (1, 1000, READ_SIZE, READ_SIZE + 1, len(LONG)):
            encrypted = self.client.encrypt(LONG[:size])
            self.assertMemoryEmpty()
            for step in (len(encrypted), 20_000):
                received = b""
                for start in range(0, len(encrypted), step):
                    received += self.server.decrypt(encrypted[start : start + step])
                    self.assertMemoryEmpty()
                self.assertTrue(received == LONG[:size])
                self.assertEqual(self.server.undecrypted, b"")
                encrypted = self.client.encrypt(LONG[:size])
            self.server.decrypt(encrypted)

    def test_bounded(self) -> None:
        """At most so many records are decrypted at once; the others are kept."""
        self.shakeHands()
        records = b"".join(self.client.encrypt(b"x") for _ in range(RECORDS_PER_TURN + 1))
        self.assertEqual(self.server.decrypt(records), b"x" * RECORDS_PER_TURN)
        self.assertTrue(self.server.hasRecords)
        self.assertEqual(self.server.decrypt(b""), b"x")
        self.assertEqual(self.server.decrypt(b""), b"")

    def test_end(self) -> None:
        """After data comes the peer's close_notify; what follows it is not decrypted."""
        for isClosed in (False, True):
            self.setUp()
            self.shakeHands()
            last = self.client.encrypt(b"last") + self.client.closeNotify()
            if isClosed:
                self.server.closeNotify()
            self.assertEqual(self.server.decrypt(last + b"more"), b"last")
            self.assertTrue(self.server.endReceived)
            self.assertEqual(self.server.undecrypted, b"")
            self.assertIsNone(self.server.error)

    def test_endAlone(self) -> None:
        """A close_notify may be received alone."""
        self.shakeHands()
        self.assertEqual(self.server.decrypt(self.client.closeNotify()), b"")
        self.assertTrue(self.server.endReceived)

    def test_corrupt(self) -> None:
        """What precedes a corrupt record is returned together with the error."""
        self.shakeHands()
        good, corrupt = self.client.encrypt(b"good"), bytearray(self.client.encrypt(b"corrupt"))
        corrupt[-1] ^= 1
        self.assertEqual(self.server.decrypt(good + corrupt + good), b"good")
        self.assertIsInstance(self.server.error, ssl.SSLError)
        self.assertEqual(self.server.undecrypted, b"")
        self.assertTrue(self.server.dataToSend())

    def test_noMemory(self) -> None:
        """An engine for which no memory is left fails."""
        self.shakeHands()
        record = self.client.encrypt(b"data")
        self.server._incoming = mock.Mock(wraps=self.memory.incoming)
        self.server._incoming.write.side_effect = MemoryError
        self.assertEqual(self.server.decrypt(record), b"")
        self.assertIsInstance(self.server.error, MemoryError)

    def test_noMemoryToWrite(self) -> None:
        """When a part of the data was encrypted, that does not stay in the shared memory."""
        self.shakeHands()

        def writePart(data: bytes) -> None:
            self.memory.outgoing.write(data[:2])
            raise MemoryError

        self.server._tls = mock.Mock(write=writePart)
        with self.assertRaises(MemoryError):
            self.server.encrypt(b"data")

    def test_renegotiation(self) -> None:
        """A context of an engine permits no renegotiation."""
        context = serverContext()
        TLSEngine(self.memory, context, None)
        self.assertTrue(context.options & SSL.OP_NO_RENEGOTIATION)
