"""Clients that half-close after their last byte, over every layer: all data is echoed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from tests.certificates import serverPEM
from tests.hostile.clients import (
    PIECE,
    Channel,
    End,
    Exchange,
    PlainChannel,
    TLSChannel,
    clientContext,
    closeReasons,
    halfClose,
    proxyHeader1,
    proxyHeader2,
    serving,
)
from tests.hostile.figures import Figures
from tests.loopback.program import Program, connected

#: All limits, with realistic values.
LIMITS = (
    *("--max-connections", "500", "--max-per-source", "100"),
    *("--connection-rate", "10000", "--connection-burst", "1000"),
    *("--allow", "127.0.0.0/8", "--allow", "::1", "--deny", "192.0.2.0/24"),
    *("--datagram-rate", "1000"),
    *("--idle-timeout", "60", "--stall-timeout", "30", "--linger-timeout", "15"),
    *("--close-timeout", "120", "--handshake-timeout", "10", "--header-timeout", "5"),
    *("--user-timeout", "60", "--drain", "5"),
)

REPEATS = 100

SIZES = (0, 1, 1000, 40_019, 65_536, 2 << 20)

LARGE = 64 << 20

#: As many repeats as for ``SIZES`` take minutes.
LARGE_REPEATS = int(os.environ.get("ECHOPROTO_LARGE_REPEATS", "3"))

#: The client and server addresses of the PROXY headers.
ANNOUNCED = ("127.9.9.9", 40_000), ("127.0.0.1", 7)


@dataclass(frozen=True)
class Layer:
    """
    A kind of listener.

    :ivar description: its description.
    :ivar carrier: its carrier in the server's log.
    :ivar connect: connects a channel to its address.
    :ivar header: the first data of a client.
    """

    description: str
    carrier: str
    connect: Callable[[Any], Channel]
    header: bytes = b""


TCP = "tcp:0:interface=127.0.0.1"

LAYERS = {
    "plain": Layer(TCP, "tcp", PlainChannel),
    "plain, FIN in the last segment": Layer(
        TCP, "tcp", lambda at: PlainChannel(at, socket.MSG_MORE)
    ),
    "TLS 1.2": Layer(
        f"{TCP}:tlsCert={{folder}}/server.pem", "tls", lambda at: TLSChannel(at, "TLSv1.2")
    ),
    "TLS 1.3": Layer(
        f"{TCP}:tlsCert={{folder}}/server.pem", "tls", lambda at: TLSChannel(at, "TLSv1.3")
    ),
    "PROXY v1": Layer(f"{TCP}:proxy=v1", "tcp", PlainChannel, proxyHeader1(*ANNOUNCED)),
    "PROXY v2": Layer(f"{TCP}:proxy=v2", "tcp", PlainChannel, proxyHeader2(*ANNOUNCED)),
    "UNIX": Layer("unix:{folder}/echo", "unix", PlainChannel),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a certificate and room for a UNIX socket."""
    (tmp_path / "server.pem").write_bytes(serverPEM())
    return tmp_path


@pytest.mark.timeout(60 + 5 * LARGE_REPEATS)
@pytest.mark.parametrize("name", LAYERS)
def test_halfClose(name: str, folder: Path, figures: Figures) -> None:
    """With all limits set, data and a half-close are answered by the same data and a close."""
    layer = LAYERS[name]
    with serving(*LIMITS, "-p", layer.description.format(folder=folder)) as program:
        address = _address(program, layer, folder)
        done = [halfClose(layer.connect(address), data, layer.header) for data in _messages()]
    lost, resets = _losses(done)
    figures.add(
        "half-close, 0 to 64 MB, 100 repeats",
        f"{name}: {len(done)} exchanges, {LARGE_REPEATS} of them of 64 MB, "
        f"{lost} bytes lost, {resets} resets",
    )
    assert (lost, resets) == (0, 0)
    assert all(exchange.complete for exchange in done)
    # A connection without data is counted as unused, as one of a health check.
    assert closeReasons(program.log) == {"finished": len(done) - REPEATS, "unused": REPEATS}


def _address(program: Program, layer: Layer, folder: Path) -> Any:
    return f"{folder}/echo" if layer.carrier == "unix" else program.address("echo", layer.carrier)


def _messages() -> Iterator[bytes]:
    for size in SIZES:
        data = os.urandom(size)
        for _ in range(REPEATS):
            yield data
    data = os.urandom(LARGE)
    for _ in range(LARGE_REPEATS):
        yield data


def _losses(exchanges: list[Exchange]) -> tuple[int, int]:
    """The number of lost bytes, and of resets."""
    resets = [exchange for exchange in exchanges if exchange.end is End.RESET]
    return sum(exchange.lost for exchange in exchanges), len(resets)


class Segment:
    """
    A TLS client that sends all its data after a handshake with one ``send()``.

    :param address: the server's address.
    :param version: a key of :data:`~tests.hostile.clients.TLS_VERSIONS`.
    :param early: whether to include the last flight of the handshake.
    """

    def __init__(self, address: Any, version: str, early: bool) -> None:
        self._socket = connected(address)
        self._tls = SSL.Connection(clientContext(version), None)
        self._tls.set_connect_state()
        while not self._completeHandshake():
            self._flush()
            self._tls.bio_write(self._socket.recv(PIECE))
        if not early:
            self._flush()

    def echo(self, data: bytes, withFIN: bool) -> tuple[bytes, End]:
        """Return the data received until the server closes, and the kind of end."""
        with self._socket:
            self._send(data, withFIN)
            return self._receive()

    def _send(self, data: bytes, withFIN: bool) -> None:
        unsent = memoryview(data)
        while unsent:
            unsent = unsent[self._tls.send(unsent) :]
        self._tls.shutdown()
        pending = self._pending()
        # MSG_MORE holds the data back until the FIN.
        flags = socket.MSG_MORE if withFIN else 0
        assert self._socket.send(pending, flags) == len(pending)
        if withFIN:
            self._socket.shutdown(socket.SHUT_WR)

    def _receive(self) -> tuple[bytes, End]:
        received: list[bytes] = []
        end = End.TRUNCATED
        try:
            while data := self._socket.recv(PIECE):
                self._tls.bio_write(data)
                received += self._pieces()
        except ConnectionResetError:
            return b"".join(received), End.RESET
        if self._tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
            end = End.CLEAN
        return b"".join(received), end

    def _pieces(self) -> Iterator[bytes]:
        try:
            while True:
                yield self._tls.recv(PIECE)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return

    def _completeHandshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def _pending(self) -> bytes:
        try:
            return self._tls.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""

    def _flush(self) -> None:
        self._socket.sendall(self._pending())


#: The last flight of a full TLS 1.2 handshake is the server's.
SHAPES = [
    ("TLSv1.2", ""),
    ("TLSv1.2", " and FIN"),
    ("TLSv1.3", ""),
    ("TLSv1.3", " and FIN"),
    ("TLSv1.3", " and FIN, in one segment with the handshake's last flight"),
]


@pytest.mark.parametrize(("version", "shape"), SHAPES)
def test_oneSegment(version: str, shape: str, folder: Path, figures: Figures) -> None:
    """Data and close_notify in one segment, with or without the FIN, are echoed completely."""
    early = shape.endswith("flight")
    listener = f"{TCP}:tlsCert={folder}/server.pem"
    # The last one takes two segments: Linux limits segments to half the window, here 32 kB.
    sizes = (1, 1000, 16_384, 32_000, 60_000)
    with serving(*LIMITS, "-p", listener) as program:
        address = program.address("echo", "tls")
        done = [
            _oneSegment(address, version, os.urandom(size), bool(shape), early)
            for size in sizes
            for _ in range(REPEATS)
        ]
    incomplete = [result for result in done if result != (0, End.CLEAN)]
    figures.add(
        "data and TLS close_notify in one segment",
        f"{version}, data and close_notify{shape}: {len(done)} exchanges, "
        f"{len(incomplete)} incomplete",
    )
    assert incomplete == []


def _oneSegment(
    address: Any, version: str, data: bytes, withFIN: bool, early: bool
) -> tuple[int, End]:
    """The number of missing bytes, and the kind of end."""
    echoed, end = Segment(address, version, early).echo(data, withFIN)
    assert data.startswith(echoed)
    return len(data) - len(echoed), end
