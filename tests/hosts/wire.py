"""
A wire between two hosts, in user space: it treats every IPv4 packet as an impairment says, and
writes down what it did, so that a measurement can be compared with the truth.

It joins two TUN devices (Documentation/networking/tuntap.rst of Linux)::

    with Host() as client, Host() as server:
        with Wire(client, server, there=Impairment(delay=0.02, loss=0.01)) as wire:
            client.run("ping", "-c", "1", wire.far)
        print(wire.there.entered, len(wire.there.lost), len(wire.back.delivered))
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from random import Random
from threading import Thread
from time import monotonic
from types import TracebackType
from unittest import SkipTest

from typing_extensions import Self

from tests.hosts.line import Impairment, Line
from tests.hosts.namespaces import Host

#: From linux/if_tun.h.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

#: Packets that wait for the wire at most, in the kernel: those of seconds in which it does not run.
QUEUE = 50_000

#: No impairment.
PERFECT = Impairment()


class Wire:
    """
    A wire from host ``a`` to host ``b``; as a context manager it is there until the end.

    :param there: how it treats packets from ``a`` to ``b``.
    :param back: how it treats those from ``b`` to ``a``; like the others by default.
    :param seed: decides which packets are lost, and so on.
    :param mtu: bytes of a packet at most.
    :param network: three bytes of the addresses of the hosts.
    :ivar near: the address of ``a`` at this wire.
    :ivar far: the address of ``b`` at this wire.
    :ivar there: the record of the packets from ``a`` to ``b``; its impairment may be changed.
    :ivar back: that of the other direction.
    """

    def __init__(
        self,
        a: Host,
        b: Host,
        there: Impairment = PERFECT,
        back: Impairment | None = None,
        seed: int = 1,
        mtu: int = 1500,
        network: str = "198.51.100",
    ) -> None:
        self.near, self.far = f"{network}.1", f"{network}.2"
        self.there = Line(there, Random(f"there {seed}"))
        self.back = Line(there if back is None else back, Random(f"back {seed}"))
        self._ends = [
            _openTUN(a, self.near, self.far, mtu),
            _openTUN(b, self.far, self.near, mtu),
        ]
        self._mtu = mtu
        self._ending, self._end = os.pipe()
        self._thread = Thread(target=self._carry)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._end)
        self._thread.join()
        for descriptor in (*self._ends, self._ending):
            os.close(descriptor)

    def _carry(self) -> None:
        a, b = self._ends
        directions = ((a, self.there, b), (b, self.back, a))
        while True:
            wait = min(self.there.due(), self.back.due()) - monotonic()
            timeout = None if wait == float("inf") else max(0.0, wait)
            # Unlike that of epoll(7), its timeout is not limited to whole milliseconds.
            readable, _, _ = select.select([a, b, self._ending], [], [], timeout)
            if self._ending in readable:
                return
            for source, line, destination in directions:
                if source in readable:
                    self._read(source, line)
                for packet in line.leave(monotonic()):
                    os.write(destination, packet)

    def _read(self, source: int, line: Line) -> None:
        for _ in range(100):
            try:
                packet = os.read(source, self._mtu)
            except BlockingIOError:
                return
            # Hosts also send IPv6 of their own accord, to look for routers.
            if packet[0] >> 4 == 4:
                line.enter(packet, monotonic())


def _openTUN(host: Host, address: str, peer: str, mtu: int) -> int:
    """Make the device ``wire`` on a host; return its descriptor."""
    try:
        descriptor = host.inside(lambda: os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        raise SkipTest(f"no TUN devices here: {error}") from error
    # The device belongs to the namespace in which its descriptor was opened.
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    host.run("ip", "address", "add", address, "peer", peer, "dev", "wire")
    settings = ["mtu", str(mtu), "txqueuelen", str(QUEUE), "up"]
    host.run("ip", "link", "set", "wire", *settings)
    return descriptor
