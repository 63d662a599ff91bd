"""
Clients for attacks: many concurrent connections in one thread, plain or over TLS.

An :class:`Exchange` sends its data, half-closes and reads until the server closes, over a
:class:`Channel`: :class:`PlainChannel` or :class:`TLSChannel`. :func:`runExchanges` runs any number
of them. Missing or wrong data and resets are recorded.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Protocol

from OpenSSL import SSL

from tests.loopback.program import PATIENCE, Program, connected

#: Maximum size of a single send or receive.
PIECE = 1 << 18

#: TLS versions by pyOpenSSL's names.
TLS_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


class Truncated(ConnectionError):
    """A FIN arrived without a close_notify."""


class Channel(Protocol):
    """A non-blocking connection; an operation that would block raises ``BlockingIOError``."""

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""

    def send(self, data: memoryview) -> int:
        """Send the beginning of ``data`` and return its size."""

    def endSending(self) -> None:
        """Half-close the connection; if it raises ``BlockingIOError``, call it again."""

    def receive(self) -> bytes:
        """Return received data, or empty bytes at the end of input."""

    def close(self) -> None:
        """Close the socket."""


class PlainChannel:
    """
    A TCP or UNIX socket.

    :param address: the server's address.
    :param flags: flags of ``send()``; ``MSG_MORE`` puts the FIN into the last data segment.
    """

    def __init__(self, address: Any, flags: int = 0) -> None:
        self._flags = flags
        self._socket = connected(address)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    def send(self, data: memoryview) -> int:
        """See :class:`Channel`."""
        return self._socket.send(data[:PIECE], self._flags)

    def endSending(self) -> None:
        """Send a FIN."""
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """See :class:`Channel`."""
        return self._socket.recv(PIECE)


class TLSChannel:
    """
    TLS over TCP. Both sides end with a close_notify and a FIN.

    :param address: the server's address.
    :param version: the only accepted version, a key of :data:`TLS_VERSIONS`.
    """

    def __init__(self, address: Any, version: str) -> None:
        self._socket = connected(address)
        self.fileno = self._socket.fileno
        self.close = self._socket.close
        self._tls = SSL.Connection(clientContext(version), self._socket)
        self._tls.set_connect_state()
        self._socket.setblocking(False)
        self._handshake()
        assert self._tls.get_protocol_version_name() == version
        self._notified = False

    def _handshake(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            while True:
                try:
                    return self._tls.do_handshake()
                except SSL.WantReadError:
                    _ready(selector)

    def send(self, data: memoryview) -> int:
        """See :class:`Channel`."""
        with _socketErrors():
            return self._tls.send(data[:PIECE])

    def endSending(self) -> None:
        """Send close_notify and a FIN."""
        with _socketErrors():
            self._tls.shutdown()
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """See :class:`Channel`; the input ends with close_notify and a FIN."""
        if not self._notified:
            try:
                with _socketErrors():
                    return self._tls.recv(PIECE)
            except SSL.ZeroReturnError:
                self._notified = True
        return self._socket.recv(PIECE)


@lru_cache
def clientContext(version: str) -> SSL.Context:
    """A context that accepts only ``version`` and any certificate."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(TLS_VERSIONS[version])
    context.set_max_proto_version(TLS_VERSIONS[version])
    return context


@contextmanager
def _socketErrors() -> Iterator[None]:
    """Translate OpenSSL's errors into those of a socket."""
    try:
        yield
    except (SSL.WantReadError, SSL.WantWriteError) as error:
        raise BlockingIOError from error
    except SSL.SysCallError as error:
        # OpenSSL reports an unexpected FIN as errno -1.
        raise Truncated if error.args[0] == -1 else OSError(*error.args) from error
    except SSL.ZeroReturnError:
        raise
    except SSL.Error as error:
        if "unexpected eof" in str(error):
            raise Truncated from error
        raise


class End(Enum):
    """The end of an exchange."""

    CLEAN = "clean"
    TRUNCATED = "truncated"
    RESET = "reset"


class Exchange:
    """
    Sends ``data`` and a half-close, and reads its echo until the server closes.

    :param channel: an open connection.
    :param data: the data to be echoed.
    :param header: data to be sent first, in the same segment, and not to be echoed.
    :ivar received: the number of echoed bytes.
    :ivar wrong: whether any byte differed from the sent one.
    :ivar end: the end of the exchange, or ``None`` before it.
    """

    def __init__(self, channel: Channel, data: bytes | memoryview, header: bytes = b"") -> None:
        self.channel = channel
        self.received = 0
        self.wrong = False
        self.end: End | None = None
        self._expected = memoryview(data)
        self._unsent = memoryview(header + data) if header else self._expected

    @property
    def lost(self) -> int:
        """The number of bytes that were not echoed."""
        return len(self._expected) - self.received

    @property
    def complete(self) -> bool:
        """Whether all data was echoed correctly and the server closed normally."""
        return self.end is End.CLEAN and not self.wrong and self.lost == 0

    def begin(self, selector: selectors.BaseSelector) -> None:
        """Register with the selector."""
        selector.register(self.channel, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def proceed(self, selector: selectors.BaseSelector, events: int) -> None:
        """Do all work possible without blocking, and record the end."""
        try:
            if events & selectors.EVENT_WRITE:
                self._write(selector)
            if events & selectors.EVENT_READ and self._read():
                self._over(selector, End.CLEAN)
        except Truncated:
            self._over(selector, End.TRUNCATED)
        except (ConnectionResetError, BrokenPipeError):
            self._over(selector, End.RESET)

    def _write(self, selector: selectors.BaseSelector) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self.channel.send(self._unsent) :]
            self.channel.endSending()
        except BlockingIOError:
            return
        selector.modify(self.channel, selectors.EVENT_READ, self)

    def _read(self) -> bool:
        try:
            while piece := self.channel.receive():
                begin, self.received = self.received, self.received + len(piece)
                self.wrong |= piece != self._expected[begin : self.received].tobytes()
        except BlockingIOError:
            return False
        return True

    def _over(self, selector: selectors.BaseSelector, end: End) -> None:
        self.end = end
        self._unsent = memoryview(b"")
        selector.unregister(self.channel)
        self.channel.close()


def runExchanges(exchanges: Iterable[Exchange]) -> None:
    """Run all exchanges concurrently to their ends; raise ``TimeoutError`` without progress."""
    with selectors.DefaultSelector() as selector:
        for exchange in exchanges:
            exchange.begin(selector)
        while selector.get_map():
            for key, events in _ready(selector):
                key.data.proceed(selector, events)


def halfClose(channel: Channel, data: bytes | memoryview, header: bytes = b"") -> Exchange:
    """Run one :class:`Exchange` to its end."""
    exchange = Exchange(channel, data, header)
    runExchanges([exchange])
    return exchange


def _ready(selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
    ready = selector.select(PATIENCE)
    if not ready:
        raise TimeoutError(f"nothing for {PATIENCE:g} s on {len(selector.get_map())} connections")
    return ready


def proxyHeader1(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A version 1 PROXY header (haproxy's proxy-protocol.txt, 2.1)."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    (host, port), (serverHost, serverPort) = source, destination
    return f"PROXY {family} {host} {serverHost} {port} {serverPort}\r\n".encode()


def proxyHeader2(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A version 2 PROXY header (haproxy's proxy-protocol.txt, 2.2)."""
    family = b"\x21" if ":" in source[0] else b"\x11"
    body = b"".join(ip_address(host).packed for host, _ in (source, destination))
    body += b"".join(port.to_bytes(2, "big") for _, port in (source, destination))
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    return signature + b"\x21" + family + len(body).to_bytes(2, "big") + body


def eventually(condition: Callable[[], bool], seconds: float, description: str) -> None:
    """Wait until ``condition`` is true; after ``seconds`` raise ``TimeoutError``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{description}: not within {seconds:g} s")
        time.sleep(0.02)


@contextmanager
def serving(*arguments: str, descriptors: int | None = None) -> Iterator[Program]:
    """Run a server with one listener, stop it, and check its log for tracebacks."""
    with Program(*arguments, listeners=1, descriptors=descriptors) as program:
        yield program
        program.stop()
    assert "Traceback" not in "".join(program.log)


_CLOSED = re.compile(r" from .+ (\w+) after [\d.]+ s, ")
_CLOSED_TOTALS = re.compile(r" ended \d+ more connections?: ([^;]+);")


def closeReasons(log: Iterable[str]) -> Counter[str]:
    """Count the closed connections of a log by close reason, in single lines and in totals."""
    counted: Counter[str] = Counter()
    for line in log:
        counted.update(_CLOSED.findall(line))
        for sums in _CLOSED_TOTALS.findall(line):
            for number, ending in map(str.split, sums.split(", ")):
                counted[ending] += int(number)
    return counted
