"""
An echo server on asyncio: ``on_asyncio.py LOOP MODE [CERTIFICATE]``.

LOOP is ``asyncio``, ``uvloop``, ``rloop``, or ``aiofastnet`` for its transports on uvloop; MODE is
``tcp``, ``streams``, ``tls``, ``udp``, or ``wildcard`` for UDP on every address.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
import sys
from typing import Any


class Echo(asyncio.Protocol):
    """Writes received data back; pauses reading while the other side does not read."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()


class EchoDatagramProtocol(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)


async def echoStream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection with asyncio's streams."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def main(kind: str, certificate: str = "") -> None:
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", 0)
    if kind in ("udp", "wildcard"):
        host = "0.0.0.0" if kind == "wildcard" else "127.0.0.1"
        transport, _ = await loop.create_datagram_endpoint(
            EchoDatagramProtocol, local_addr=(host, 0)
        )
        print(transport.get_extra_info("sockname")[1], flush=True)
        await asyncio.Event().wait()
    server: Any
    if kind == "streams":
        server = await asyncio.start_server(echoStream, *address, backlog=1024)
    else:
        context = None
        if kind == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        server = await loop.create_server(Echo, *address, backlog=1024, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Not serve_forever: rloop's starts the server a second time, and then refuses connections.
    await asyncio.Event().wait()


def newLoop(name: str) -> asyncio.AbstractEventLoop:
    """The event loop of a package."""
    package: Any = importlib.import_module("uvloop" if name == "aiofastnet" else name)
    loop: asyncio.AbstractEventLoop = package.new_event_loop()
    if name == "aiofastnet":
        importlib.import_module(name).patch_loop(loop)
    return loop


if __name__ == "__main__":
    loop = newLoop(sys.argv[1])
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(*sys.argv[2:]))
