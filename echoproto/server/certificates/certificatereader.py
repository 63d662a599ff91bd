"""
A child process that reads certificates and keys for a server that has become another user.

It is started before that, so it stays the user who may read them. It reads no other files than
those of its first message: the server, which everybody talks to, can request them by number only.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import RawIOBase
from select import select
from typing import IO

from echoproto.errors import StartupError
from echoproto.processes.childcommand import childCommand
from echoproto.processes.childprocess import encodeMessage, explainStartError
from echoproto.processes.parentpipe import ignoreSignals, receiveMessage
from echoproto.server.certificates.tlsfiles import TLSFiles

#: Seconds to wait for a reply, or for the end of the process: the server serves nobody meanwhile.
REPLY_TIMEOUT = 5.0


class CertificateReader:
    """
    Starts the process that reads certificates, and asks it for them.

    :param files: all that can be read.
    :param timeout: see :data:`REPLY_TIMEOUT`.
    :raise StartupError: the process cannot be started.
    """

    def __init__(self, files: Sequence[TLSFiles], timeout: float = REPLY_TIMEOUT) -> None:
        self._files = list(files)
        pipes = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                childCommand(__name__, "runReader"), stdin=pipes, stdout=pipes
            )
        except OSError as error:
            raise StartupError(
                f"cannot start the process that reads certificates: {explainStartError(error)}"
            ) from error
        self._timeout, self._hasFailed = timeout, False
        self._requests, self._replies = _pipesOf(self._process)
        self._requests.write(encodeMessage(self._files))
        self._requests.flush()

    def read(self, files: TLSFiles) -> TLSFiles:
        """
        ``files`` with their contents, as ``TLSFiles.read`` returns them.

        :raise ValueError: a file cannot be read, or the process has ended; the message is one line.
        """
        try:
            if self._hasFailed:
                # Its reply to an earlier request may still come.
                raise TimeoutError
            self._requests.write(b"%d\n" % self._files.index(files))
            self._requests.flush()
            if not select([self._replies], [], [], self._timeout)[0]:
                self._hasFailed = True
                raise TimeoutError
            # Nothing that this process, with more rights, sends is doubtful.
            reply: TLSFiles | ValueError = pickle.load(self._replies)
        except (OSError, EOFError) as error:
            raise ValueError(
                "the process that reads them as the first user hangs or has ended; restart the "
                "server"
            ) from error
        if isinstance(reply, ValueError):
            raise reply
        return reply

    def stop(self) -> None:
        """End the process; one that hangs is left alone."""
        # BrokenPipeError: it has ended.
        with suppress(OSError):
            self._requests.close()
        self._replies.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._timeout)


def _pipesOf(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def runReader() -> int:
    """Answer the server until it has ended; returns the exit status of this process."""
    ignoreSignals()
    # Without a buffer, which would be written again at the end.
    with (
        open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as replies,
        suppress(EOFError, BrokenPipeError),
    ):
        answerRequests(receiveMessage(), sys.stdin.buffer, replies)
    return 0


def answerRequests(files: Sequence[TLSFiles], requests: IO[bytes], replies: RawIOBase) -> None:
    """
    Answer until the end of the requests.

    :param files: what can be read.
    :param requests: lines with the index of one of them. They come from a process with fewer
        rights, so nothing else is accepted.
    :param replies: the files with their contents, or the error, pickled.
    """
    indexes = {b"%d\n" % index: index for index in range(len(files))}
    for line in iter(lambda: requests.readline(16), b""):
        try:
            reply: TLSFiles | ValueError = files[indexes[line]].read()
        except KeyError:
            reply = ValueError("not a file of this server")
        except ValueError as error:
            reply = error
        replies.write(pickle.dumps(reply))
