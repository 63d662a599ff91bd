"""
Clients that end their direction as soon as all is sent, over every layer: every byte comes back.
"""

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
    endings,
    halfClose,
    proxyHeader1,
    proxyHeader2,
    serving,
)
from tests.hostile.figures import Figures
from tests.loopback.program import Program, connected

#: Every limit that there is, at a value that means something.
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

#: As many repeats as ``SIZES`` have take minutes.
LARGE_REPEATS = int(os.environ.get("ECHOPROTO_LARGE_REPEATS", "3"))

#: The client and the server that a PROXY header announces.
ANNOUNCED = ("127.9.9.9", 40_000), ("127.0.0.1", 7)


@dataclass(frozen=True)
class Layer:
    """
    :ivar description: the listener's.
    :ivar carrier: as the server names it.
    :ivar connect: opens a connection to its address.
    :ivar header: what a client sends first.
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
    """
    With all limits on, N bytes and then our end give N bytes and then the server's, each time.
    """
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
    assert all(each.good for each in done)
    assert endings(program.log) == {"finished": len(done)}


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
    """How many bytes were lost, and how many exchanges reset."""
    resets = [each for each in exchanges if each.end is End.RESET]
    return sum(each.lost for each in exchanges), len(resets)


class Segment:
    """
    A TLS client that gives the kernel all that it has to say after a handshake in one ``send()``.

    :param address: the server's.
    :param version: of :data:`~tests.hostile.clients.TLS_VERSIONS`.
    :param early: whether the handshake's last flight is part of it.
    """

    def __init__(self, address: Any, version: str, early: bool) -> None:
        self._socket = connected(address)
        self._tls = SSL.Connection(clientContext(version), None)
        self._tls.set_connect_state()
        while not self._shaken():
            self._flush()
            self._tls.bio_write(self._socket.recv(PIECE))
        if not early:
            self._flush()

    def echo(self, data: bytes, withFIN: bool) -> tuple[bytes, End]:
        """What comes back until the server's end, and how it ends."""
        with self._socket:
            self._say(data, withFIN)
            return self._hear()

    def _say(self, data: bytes, withFIN: bool) -> None:
        unsent = memoryview(data)
        while unsent:
            unsent = unsent[self._tls.send(unsent) :]
        self._tls.shutdown()
        said = self._said()
        # MSG_MORE holds the bytes back until the FIN goes with them.
        flags = socket.MSG_MORE if withFIN else 0
        assert self._socket.send(said, flags) == len(said)
        if withFIN:
            self._socket.shutdown(socket.SHUT_WR)

    def _hear(self) -> tuple[bytes, End]:
        heard: list[bytes] = []
        end = End.TRUNCATED
        try:
            while came := self._socket.recv(PIECE):
                self._tls.bio_write(came)
                heard += self._pieces()
        except ConnectionResetError:
            return b"".join(heard), End.RESET
        if self._tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
            end = End.CLEAN
        return b"".join(heard), end

    def _pieces(self) -> Iterator[bytes]:
        try:
            while True:
                yield self._tls.recv(PIECE)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def _said(self) -> bytes:
        try:
            return self._tls.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""

    def _flush(self) -> None:
        self._socket.sendall(self._said())


#: The last flight of a full handshake of TLS 1.2 is the server's.
SHAPES = [
    ("TLSv1.2", ""),
    ("TLSv1.2", " and FIN"),
    ("TLSv1.3", ""),
    ("TLSv1.3", " and FIN"),
    ("TLSv1.3", " and FIN, all behind the handshake's last flight"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("version", "shape"), SHAPES)
def test_oneSegment(version: str, shape: str, folder: Path, figures: Figures) -> None:
    """Data and close_notify that come in one segment, also with the FIN, come back whole."""
    early = shape.endswith("flight")
    listener = f"{TCP}:tlsCert={folder}/server.pem"
    # The last goes out in two segments: Linux makes none longer than half the window, 32 kB here.
    sizes = (1, 1000, 16_384, 32_000, 60_000)
    with serving(*LIMITS, "-p", listener) as program:
        address = program.address("echo", "tls")
        done = [
            _oneSegment(address, version, os.urandom(size), bool(shape), early)
            for size in sizes
            for _ in range(REPEATS)
        ]
    bad = [each for each in done if each != (0, End.CLEAN)]
    figures.add(
        "data and TLS close_notify in one segment",
        f"{version}, data and close_notify{shape}: {len(done)} exchanges, {len(bad)} not whole",
    )
    assert bad == []


def _oneSegment(
    address: Any, version: str, data: bytes, withFIN: bool, early: bool
) -> tuple[int, End]:
    """How many bytes were missing, and how it ended."""
    echoed, end = Segment(address, version, early).echo(data, withFIN)
    assert data.startswith(echoed)
    return len(data) - len(echoed), end
