"""
Receiving and sending many datagrams with one system call: recvmmsg(2) and sendmmsg(2) of Linux.

Python has neither, so they are called in libc by :mod:`ctypes`. The memory is shared by all ports
of the process, as only one receives at a time.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import sys
from array import array
from collections.abc import Callable
from ctypes import addressof, get_errno, sizeof
from errno import EAGAIN
from functools import cache
from os import strerror
from struct import Struct
from typing import Any, ClassVar

from echoproto.transports.pktinfo import ANCILLARY_BYTES

#: Datagrams received with one call: more save little, and no longer fit into the processor's cache.
BATCH_DATAGRAMS = 32

#: Bytes of the memory of one datagram: no datagram is as long, so none is truncated.
SLOT_BYTES = 1 << 16

# A plain number, as in udp.py.
_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))

#: Bytes of struct sockaddr_in and sockaddr_in6.
ADDRESS_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}


class _Vector(ctypes.Structure):
    """struct iovec: a piece of memory."""

    _fields_: ClassVar = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _Header(ctypes.Structure):
    """struct msghdr, recvmsg(2): where a message is."""

    _fields_: ClassVar = [
        ("address", ctypes.c_void_p),
        ("addressSize", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vectorCount", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controlSize", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Message(ctypes.Structure):
    """struct mmsghdr, recvmmsg(2): a message, and the bytes received or sent."""

    _fields_: ClassVar = [("header", _Header), ("size", ctypes.c_uint)]


_WORD = sizeof(ctypes.c_uint)

# The half of a size_t that holds small numbers.
_LOW = 0 if sys.byteorder == "little" else sizeof(ctypes.c_size_t) - _WORD


def _column(table: Any, offset: int) -> memoryview:
    """The words at ``offset`` in every row of an array of structures, which can be set at once."""
    words = memoryview(table).cast("B").cast("I")
    return words[offset // _WORD :: sizeof(table._type_) // _WORD]


def _same(value: int) -> memoryview:
    return memoryview(array("I", [value]) * BATCH_DATAGRAMS)


@cache
def _memory() -> mmap.mmap:
    """
    The memory of the datagrams of a batch. The kernel provides each page when it is first written.
    """
    size = BATCH_DATAGRAMS * SLOT_BYTES
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@cache
def _splitter(size: int, count: int) -> Callable[..., tuple[bytes, ...]]:
    return Struct(f"{size}s" * count).unpack_from


class DatagramBatch:
    """
    Room for a batch of datagrams with their sources and ancillary data, and replies to them, each
    of which is its request.

    :param calls: has ``recvmmsg`` and ``sendmmsg``.
    :param addressSize: bytes of a socket address.
    :param controlSize: bytes for the ancillary data of a datagram; 0 for none.
    :ivar controls: the ancillary data of the batch that was received last, as the kernel wrote it,
        with :attr:`controlSize` bytes of each datagram.
    """

    def __init__(self, calls: Any, addressSize: int, controlSize: int) -> None:
        self._receive, self._send = calls.recvmmsg, calls.sendmmsg
        self.controlSize = controlSize
        self.controls = b""
        self._addressSize = addressSize
        self._addresses = bytearray(addressSize * BATCH_DATAGRAMS)
        self._reply = b""
        # Set again after each receive, for the kernel overwrites them.
        self._control = memoryview(bytearray(controlSize * BATCH_DATAGRAMS))
        self._controlSizes = _same(controlSize)
        self._noControl = bytes(len(self._control))
        # All replies of a call leave from one address, so they share the ancillary data.
        self._replyControl = bytearray(controlSize)
        self._requests = (_Message * BATCH_DATAGRAMS)()
        self._replies = (_Message * BATCH_DATAGRAMS)()
        self._requestVectors = (_Vector * BATCH_DATAGRAMS)()
        self._replyVectors = (_Vector * BATCH_DATAGRAMS)()
        self._link()
        self._sizes = _column(self._requests, _Message.size.offset)
        self._requestControlSizes = _column(self._requests, _Header.controlSize.offset + _LOW)
        self._replyControlSizes = _column(self._replies, _Header.controlSize.offset + _LOW)
        self._replySizes = _column(self._replyVectors, _Vector.size.offset + _LOW)
        self._requestsAt = ctypes.c_void_p(addressof(self._requests))
        self._repliesAt = [ctypes.c_void_p(addressof(reply)) for reply in self._replies]

    def _link(self) -> None:
        """Let the headers point to the memory."""

        def start(memory: Any) -> int:
            return addressof(ctypes.c_char.from_buffer(memory)) if len(memory) else 0

        slots, addresses, control = start(_memory()), start(self._addresses), start(self._control)
        for index in range(BATCH_DATAGRAMS):
            request, reply = self._requests[index].header, self._replies[index].header
            vectors = self._requestVectors[index], self._replyVectors[index]
            for message, vector in zip((request, reply), vectors, strict=True):
                vector.base = slots + index * SLOT_BYTES
                message.address = addresses + index * self._addressSize
                message.addressSize = self._addressSize
                message.vectors, message.vectorCount = addressof(vector), 1
            vectors[0].size = SLOT_BYTES
            request.control = control + index * self.controlSize
            request.controlSize = self.controlSize
            reply.control = start(self._replyControl)

    def receive(self, descriptor: int) -> int:
        """
        Receive waiting datagrams, in place of those before.

        :return: their number, at most :data:`BATCH_DATAGRAMS`; 0 if none was waiting.
        :raise OSError: the receive failed.
        """
        count: int = self._receive(descriptor, self._requestsAt, BATCH_DATAGRAMS, _DONT_WAIT, None)
        if count < 0:
            if get_errno() != EAGAIN:
                raise _lastError()
            count = 0
        self._replySizes[:count] = self._sizes[:count]
        if self.controlSize:
            end = count * self.controlSize
            self.controls = bytes(self._control[:end])
            self._control[:end] = self._noControl[:end]
            self._requestControlSizes[:count] = self._controlSizes[:count]
        return count

    def control(self, index: int) -> bytes:
        """The ancillary data of a datagram."""
        return self.controls[index * self.controlSize : (index + 1) * self.controlSize]

    def sizes(self, start: int, end: int) -> list[int]:
        """The numbers of bytes of the datagrams from ``start`` to ``end``, exclusive."""
        return self._sizes[start:end].tolist()

    def sources(self, start: int, end: int) -> tuple[bytes, ...]:
        """The source addresses of these datagrams, as the kernel wrote them."""
        return _splitter(self._addressSize, end - start)(self._addresses, start * self._addressSize)

    def send(self, descriptor: int, start: int, end: int, control: bytes) -> int:
        """
        Send the datagrams from ``start`` to ``end`` back to their sources.

        :param control: the ancillary data of all replies.
        :return: the number of those sent: the first ones; fewer than all if the next one failed.
        :raise OSError: the first one failed.
        """
        if control != self._reply:
            self._reply = control
            self._replyControl[: len(control)] = control
            self._replyControlSizes[:] = _same(len(control))
        sent: int = self._send(descriptor, self._repliesAt[start], end - start, _DONT_WAIT)
        if sent < 0:
            raise _lastError()
        return sent


def _lastError() -> OSError:
    number = get_errno()
    return OSError(number, strerror(number))


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


@cache
def datagramBatch(family: int, hasControl: bool) -> DatagramBatch | None:
    """
    The process's memory for batches on sockets of an address family; ``None`` if the system has no
    such calls.

    :param hasControl: whether ancillary data are received, and sent with the replies.
    """
    size = ADDRESS_BYTES.get(socket.AddressFamily(family))
    if sys.platform != "linux" or size is None:
        return None
    calls = _libc()
    if not (hasattr(calls, "recvmmsg") and hasattr(calls, "sendmmsg")):
        return None
    return DatagramBatch(calls, size, ANCILLARY_BYTES if hasControl else 0)
