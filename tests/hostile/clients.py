"""
Clients that attack: many at once in one thread, over plain sockets and over TLS, to the end of
each.

An :class:`Exchange` sends its bytes, ends its own direction and reads until the server has ended
its own, over a :class:`Channel`, which hides what there is beneath: :class:`PlainChannel`,
:class:`TLSChannel`. :func:`converse` runs any number of them. None gives up data: what is missing,
wrong or cut is noted.
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

#: The most that is asked of a socket at once, and given to it.
PIECE = 1 << 18

#: Versions of TLS, by the name that people and pyOpenSSL give them.
TLS_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


class Truncated(ConnectionError):
    """A FIN came with no close_notify before it."""


class Channel(Protocol):
    """A connection that never blocks; what would block raises ``BlockingIOError``."""

    def fileno(self) -> int:
        """For a selector."""

    def send(self, data: memoryview) -> int:
        """Send the beginning of ``data``; returns how much that is."""

    def endSending(self) -> None:
        """Tell the server that no more will come; where it blocks it is to be called again."""

    def receive(self) -> bytes:
        """What has come; nothing at the server's end."""

    def close(self) -> None:
        """Let go of the socket."""


class PlainChannel:
    """
    A TCP or UNIX socket.

    :param address: the server's.
    :param flags: of ``send()``; with ``MSG_MORE`` the FIN goes in the last segment, not behind it.
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
        """Our FIN."""
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """See :class:`Channel`."""
        return self._socket.recv(PIECE)


class TLSChannel:
    """
    TLS over TCP. Its end is a close_notify and then a FIN, and it asks both of the server.

    :param address: the server's.
    :param version: of :data:`TLS_VERSIONS`, no other is spoken.
    """

    def __init__(self, address: Any, version: str) -> None:
        self._socket = connected(address)
        self.fileno = self._socket.fileno
        self.close = self._socket.close
        self._tls = SSL.Connection(clientContext(version), self._socket)
        self._tls.set_connect_state()
        self._socket.setblocking(False)
        self._shakeHands()
        assert self._tls.get_protocol_version_name() == version
        self._notified = False

    def _shakeHands(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            while True:
                try:
                    return self._tls.do_handshake()
                except SSL.WantReadError:
                    _ready(selector)

    def send(self, data: memoryview) -> int:
        """See :class:`Channel`."""
        with _asOfSocket():
            return self._tls.send(data[:PIECE])

    def endSending(self) -> None:
        """Our close_notify and our FIN."""
        with _asOfSocket():
            self._tls.shutdown()
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """See :class:`Channel`; the server's end is its close_notify and then its FIN."""
        if not self._notified:
            try:
                with _asOfSocket():
                    return self._tls.recv(PIECE)
            except SSL.ZeroReturnError:
                self._notified = True
        return self._socket.recv(PIECE)


@lru_cache
def clientContext(version: str) -> SSL.Context:
    """For a client that speaks only ``version`` and believes any certificate."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(TLS_VERSIONS[version])
    context.set_max_proto_version(TLS_VERSIONS[version])
    return context


@contextmanager
def _asOfSocket() -> Iterator[None]:
    """Raise what a socket would raise in the place of OpenSSL's errors."""
    try:
        yield
    except (SSL.WantReadError, SSL.WantWriteError) as error:
        raise BlockingIOError from error
    except SSL.SysCallError as error:
        # OpenSSL's word for a FIN that nobody announced is an errno of -1.
        raise Truncated if error.args[0] == -1 else OSError(*error.args) from error
    except SSL.ZeroReturnError:
        raise
    except SSL.Error as error:
        if "unexpected eof" in str(error):
            raise Truncated from error
        raise


class End(Enum):
    """How an exchange ended."""

    CLEAN = "clean"
    TRUNCATED = "truncated"
    RESET = "reset"


class Exchange:
    """
    One echo: ``data`` to the server and our end, while reading until the server's.

    :param channel: a connection that is open.
    :param data: what is to come back.
    :param header: what is sent before it, in one piece with its beginning, and is not to come back.
    :ivar received: how many bytes have come back.
    :ivar wrong: whether any of them were others than those sent.
    :ivar end: how it ended; ``None`` before that.
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
        """How many bytes did not come back."""
        return len(self._expected) - self.received

    @property
    def good(self) -> bool:
        """Whether all came back as it was sent, and then the server's end."""
        return self.end is End.CLEAN and not self.wrong and self.lost == 0

    def begin(self, selector: selectors.BaseSelector) -> None:
        """Be called through ``selector`` from now on."""
        selector.register(self.channel, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def proceed(self, selector: selectors.BaseSelector, events: int) -> None:
        """Do what can be done without waiting; note the end."""
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


def converse(exchanges: Iterable[Exchange]) -> None:
    """
    Run all exchanges to their ends, at the same time; ``TimeoutError`` where nothing more happens.
    """
    with selectors.DefaultSelector() as selector:
        for each in exchanges:
            each.begin(selector)
        while selector.get_map():
            for key, events in _ready(selector):
                key.data.proceed(selector, events)


def halfClose(channel: Channel, data: bytes | memoryview, header: bytes = b"") -> Exchange:
    """Run one :class:`Exchange` to its end."""
    exchange = Exchange(channel, data, header)
    converse([exchange])
    return exchange


def _ready(selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
    ready = selector.select(PATIENCE)
    if not ready:
        raise TimeoutError(f"nothing for {PATIENCE:g} s on {len(selector.get_map())} connections")
    return ready


def proxyHeader1(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A PROXY header of version 1 (haproxy's proxy-protocol.txt, 2.1)."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    (host, port), (ourHost, ourPort) = source, destination
    return f"PROXY {family} {host} {ourHost} {port} {ourPort}\r\n".encode()


def proxyHeader2(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A PROXY header of version 2 (haproxy's proxy-protocol.txt, 2.2)."""
    family = b"\x21" if ":" in source[0] else b"\x11"
    body = b"".join(ip_address(host).packed for host, _ in (source, destination))
    body += b"".join(port.to_bytes(2, "big") for _, port in (source, destination))
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    return signature + b"\x21" + family + len(body).to_bytes(2, "big") + body


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """
    Wait until ``condition`` holds; ``TimeoutError`` with ``what`` was waited for, after
    ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


@contextmanager
def serving(*arguments: str, descriptors: int | None = None) -> Iterator[Program]:
    """A server with one listener; stopped at the end, with no traceback in its log."""
    with Program(*arguments, listeners=1, descriptors=descriptors) as program:
        yield program
        program.stop()
    assert "Traceback" not in "".join(program.log)


_ENDED = re.compile(r" from \S+ (\w+) after [\d.]+ s, ")
_ENDED_MORE = re.compile(r" ended \d+ more connections?: ([^;]+);")


def endings(log: Iterable[str]) -> Counter[str]:
    """
    How many connections a server's log says have ended, by ending: those with a line, and the sums.
    """
    counted: Counter[str] = Counter()
    for line in log:
        counted.update(_ENDED.findall(line))
        for sums in _ENDED_MORE.findall(line):
            for number, ending in map(str.split, sums.split(", ")):
                counted[ending] += int(number)
    return counted
