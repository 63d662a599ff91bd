"""
A client on uvloop: ``on_uvloop.py bare|timed PORT CONNECTIONS SIZE SECONDS``; ``timed`` takes the time of each exchange.

It compares nothing and keeps nothing else. It ends with one line of JSON.
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


class Asking(asyncio.Protocol):
    """Sends again when as many bytes have come as it has sent."""

    exchanges = 0

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._due = 0

    def connection_made(self, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport

    def ask(self) -> None:
        self._due += len(self._message)
        self._transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        self._due -= len(data)
        if not self._due:
            self.exchanges += 1
            self.ask()


class Timed(Asking):
    """Keeps how long each exchange took."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.times: list[int] = []

    def ask(self) -> None:
        self._sentAt = time.monotonic_ns()
        super().ask()

    def data_received(self, data: bytes) -> None:
        self.times.append(time.monotonic_ns() - self._sentAt)
        super().data_received(data)


async def main(kind: str, port: int, connections: int, size: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    make = {"bare": Asking, "timed": Timed}[kind]
    asking: list[Any] = []
    for _ in range(connections):
        _, made = await loop.create_connection(lambda: make(bytes(size)), "127.0.0.1", port)
        asking.append(made)
    spent = time.process_time_ns()
    for each in asking:
        each.ask()
    await asyncio.sleep(seconds)
    found = {
        "echoes": sum(each.exchanges for each in asking),
        "cpu_ns": time.process_time_ns() - spent,
    }
    if kind == "timed":
        found["median_ns"] = round(median(asking[0].times))
    print(json.dumps(found))


if __name__ == "__main__":
    uvloop.install()
    _, chosen, number, many, length, time_ = sys.argv
    asyncio.run(main(chosen, int(number), int(many), int(length), float(time_)))
