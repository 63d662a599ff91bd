"""
A client on uvloop: ``on_uvloop.py bare|timed PORT CONNECTIONS SIZE SECONDS``.

It compares no data; ``timed`` measures the time of each exchange. It prints one line of JSON, with
the names that ``echoproto load -o json`` uses.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from statistics import median
from typing import Any

import uvloop


class BareClient(asyncio.Protocol):
    """Sends the next message when it has received as many bytes as it has sent."""

    exchanges = 0

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._due = 0

    def connection_made(self, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport

    def sendMessage(self) -> None:
        self._due += len(self._message)
        self._transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        self._due -= len(data)
        if not self._due:
            self.exchanges += 1
            self.sendMessage()


class TimedClient(BareClient):
    """Records the duration of each exchange."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.times: list[int] = []

    def sendMessage(self) -> None:
        self._sentAt = time.monotonic_ns()
        super().sendMessage()

    def data_received(self, data: bytes) -> None:
        self.times.append(time.monotonic_ns() - self._sentAt)
        super().data_received(data)


async def main(kind: str, port: int, connections: int, size: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    make = {"bare": BareClient, "timed": TimedClient}[kind]
    clients: list[Any] = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: make(bytes(size)), "127.0.0.1", port)
        clients.append(client)
    began, used = time.monotonic_ns(), time.process_time_ns()
    for client in clients:
        client.sendMessage()
    await asyncio.sleep(seconds)
    used, duration = time.process_time_ns() - used, time.monotonic_ns() - began
    result: dict[str, Any] = {
        "received": sum(client.exchanges for client in clients),
        "duration_ns": duration,
        "busy_ratio": used / duration,
    }
    if kind == "timed":
        result["service"] = {"p50_ns": round(median(clients[0].times))}
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.install()
    _, kind, port, connections, size, seconds = sys.argv
    asyncio.run(main(kind, int(port), int(connections), int(size), float(seconds)))
