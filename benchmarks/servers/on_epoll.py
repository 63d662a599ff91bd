"""
A bare loop in Python: ``on_epoll.py tcp|splice|tls [CERTIFICATE]``.

It echoes and does nothing else: no limits, no timeouts, no counters, and it waits for a client that
does not read. A server in Python costs at least this.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys
from collections.abc import Callable

#: Echoes what one connection has received; false at its end.
Echo = Callable[[], bool]

#: Bytes of one receive, and of one from TLS or to a pipe.
RECEIVE_SIZE, LARGE_RECEIVE_SIZE = 1 << 16, 1 << 18


def copied(connection: socket.socket) -> Echo:
    """Receive and send."""

    def echo() -> bool:
        data = connection.recv(RECEIVE_SIZE)
        connection.sendall(data)
        return bool(data)

    return echo


def spliced(connection: socket.socket, reader: int, writer: int) -> Echo:
    """Move the data through a pipe, which all connections share."""
    number = connection.fileno()

    def echo() -> bool:
        taken = left = os.splice(number, writer, LARGE_RECEIVE_SIZE)
        while left:
            left -= os.splice(reader, number, left)
        return taken > 0

    return echo


def encrypted(connection: socket.socket, context: ssl.SSLContext) -> Echo:
    """Receive, decrypt, encrypt and send."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    isSecured = False

    def echo() -> bool:
        nonlocal isSecured
        data = connection.recv(LARGE_RECEIVE_SIZE)
        incoming.write(data)
        try:
            if not isSecured:
                tls.do_handshake()
                isSecured = True
            while message := tls.read(RECEIVE_SIZE):
                tls.write(message)
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            return bool(data)
        return False

    return echo


def opener(kind: str, certificate: str = "") -> Callable[[socket.socket], Echo]:
    """What makes the echo of an accepted connection."""
    if kind == "tcp":
        return copied
    if kind == "splice":
        reader, writer = os.pipe()
        return lambda connection: spliced(connection, reader, writer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda connection: encrypted(connection, context)


def serve(listening: socket.socket, newEcho: Callable[[socket.socket], Echo]) -> None:
    """Serve for ever."""
    poller = select.epoll()
    poller.register(listening, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    echoes: dict[int, Echo] = {}
    while True:
        for number, _ in poller.poll(-1, 512):
            if number == listening.fileno():
                connection = listening.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                echoes[connection.fileno()] = newEcho(connection)
                poller.register(connection, select.EPOLLIN)
                continue
            try:
                isOpen = echoes[number]()
            except OSError:  # ssl.SSLError is one
                isOpen = False
            if not isOpen:
                del echoes[number]
                connections.pop(number).close()


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    serve(listening, opener(*sys.argv[1:]))
