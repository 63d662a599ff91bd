from __future__ import annotations

import io
import os
import pickle
import signal
import struct
import subprocess
import sys
from errno import EAGAIN
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.processes.childprocess import encodeMessage
from echoproto.server.certificates import certificatereader
from echoproto.server.certificates.certificatereader import (
    CertificateReader,
    answerRequests,
    runReader,
)
from echoproto.server.certificates.tlsfiles import TLSFiles
from tests.certificates import serverPEM


class ReaderCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(serverPEM())
        self.files = TLSFiles(str(self.path), str(self.path))


class AnswerTests(ReaderCase):
    def answers(self, requests: bytes) -> list[TLSFiles | ValueError]:
        replies: Any = io.BytesIO()
        answerRequests([self.files], io.BytesIO(requests), replies)
        size = replies.tell()
        replies.seek(0)
        found = []
        while replies.tell() < size:
            found.append(pickle.load(replies))
        return found

    def test_requests(self) -> None:
        """Every request is answered by what the files hold now, or by the reason."""
        [reply] = self.answers(b"0\n")
        assert isinstance(reply, TLSFiles)
        self.assertEqual(reply.contents, {str(self.path): serverPEM()})
        self.path.unlink()
        [reason] = self.answers(b"0\n")
        self.assertIn("cannot read", str(reason))

    def test_others(self) -> None:
        """
        Only files of the first message are read: other requests are refused, whatever they are.
        """
        for request in (b"1\n", b"-1\n", b"00\n", b"/etc/shadow\n", b"0", b"\x80\x04."):
            [reply] = self.answers(request)
            self.assertEqual(str(reply), "not a file of this server")
        self.assertEqual(len(self.answers(b"x" * 100)), 7)

    def test_program(self) -> None:
        """The process answers until the server is gone, also if that sent nothing yet."""
        standardInput = io.BytesIO(encodeMessage([self.files]) + b"0\n")
        output = open(self.mktemp(), "w+b")  # noqa: SIM115 - until the test ends
        self.addCleanup(output.close)
        self.patch(certificatereader, "ignoreSignals", lambda: None)
        self.patch(certificatereader, "receiveMessage", lambda: _receive(standardInput))
        self.patch(sys, "stdin", mock.Mock(buffer=standardInput))
        self.patch(sys, "stdout", output)
        self.assertEqual(runReader(), 0)
        self.assertEqual(pickle.loads(Path(output.name).read_bytes()), self.files)
        self.assertEqual(runReader(), 0)


def _receive(stream: io.BytesIO) -> object:
    start = stream.read(4)
    if not start:
        raise EOFError
    return pickle.loads(stream.read(*struct.unpack("!I", start)))


class CertificateReaderTests(ReaderCase):
    def test_process(self) -> None:
        """Another process reads the files, again and again, and ends when it is stopped."""
        reader = CertificateReader([self.files], timeout=300)
        self.addCleanup(reader.stop)
        self.assertEqual(reader.read(self.files).contents, {str(self.path): serverPEM()})
        self.path.write_bytes(b"renewed")
        self.assertEqual(reader.read(self.files).contents, {str(self.path): b"renewed"})
        self.path.unlink()
        with self.assertRaises(ValueError) as raised:
            reader.read(self.files)
        self.assertIn("cannot read", str(raised.exception))

    def test_ended(self) -> None:
        """A process that has ended is an error with a remedy, and can be stopped."""
        reader = CertificateReader([self.files], timeout=300)
        reader._process.kill()
        reader._process.wait()
        for _ in range(2):
            with self.assertRaises(ValueError) as raised:
                reader.read(self.files)
            self.assertIn("hangs or has ended; restart the server", str(raised.exception))
        reader.stop()

    def test_hangs(self) -> None:
        """One that hangs holds up neither the server nor its stop for long."""
        reader = CertificateReader([self.files], timeout=0.01)
        os.kill(reader._process.pid, signal.SIGSTOP)
        for _ in range(2):
            with self.assertRaises(ValueError) as raised:
                reader.read(self.files)
            self.assertIn("hangs or has ended; restart the server", str(raised.exception))
        reader.stop()
        self.assertIsNone(reader._process.returncode)
        os.kill(reader._process.pid, signal.SIGCONT)
        self.assertEqual(reader._process.wait(), 0)

    def test_cannotStart(self) -> None:
        """If the process cannot be started, the error says why and has a remedy."""
        self.patch(subprocess, "Popen", mock.Mock(side_effect=OSError(EAGAIN, "Try later")))
        error = self.assertRaises(StartupError, CertificateReader, [self.files])
        self.assertEqual(
            str(error),
            "cannot start the process that reads certificates: Try later; raise the limit of "
            "processes (ulimit -u, systemd's TasksMax=)",
        )

    def test_currentFolder(self) -> None:
        """The process imports nothing from the current folder."""
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        folder = self.mktemp()
        os.mkdir(folder)
        os.chdir(folder)
        Path("ssl.py").write_text("raise SystemExit")
        self.files = TLSFiles(f"{here}/{self.path}", f"{here}/{self.path}")
        reader = CertificateReader([self.files], timeout=300)
        self.addCleanup(reader.stop)
        self.assertEqual(len(reader.read(self.files).contents), 1)
