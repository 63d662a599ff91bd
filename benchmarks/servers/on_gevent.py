"""An echo server on gevent's StreamServer."""

from __future__ import annotations

import socket
from typing import Any

from gevent.server import StreamServer


def echo(client: Any, address: object) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := client.recv(65_536):
            client.sendall(data)
    except OSError:
        pass
    client.close()


if __name__ == "__main__":
    server = StreamServer(("127.0.0.1", 0), echo, backlog=1024)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
