"""
Transports in memory for tests: a pair of stream transports, and a wire for datagrams. No socket, no
running reactor; nothing happens by itself.

For the tests of this package and of other programs: real client code runs against real server code,
and the test decides when bytes move::

    clock = Clock()
    endpoint, pairs = endpointTo(EchoFactory(clock))
    client = await connectEcho(endpoint, clock)
    reply = client.echo(b"hi")
    pairs[0].pump()
    assert await reply == b"hi"

Unlike Twisted's own fakes they model flow control and closing: a paused reader is not read from, a
transport with a full queue pauses its producer, each direction closes by itself (half-close),
closing with unread input resets the other end, data arrives in pieces of any size, and datagrams
are lost, duplicated, reordered and corrupted on command.

==================== =====================================================
:mod:`.streams`      :class:`StreamPair`
:mod:`.endpoints`    :func:`endpointTo`
:mod:`.datagrams`    :class:`DatagramWire`
:mod:`.recorders`    a protocol and an observer that record events
==================== =====================================================
"""

from __future__ import annotations

from echoproto.testing.datagrams import Datagram, DatagramWire, MemoryDatagramPort
from echoproto.testing.endpoints import MemoryEndpoint, endpointTo
from echoproto.testing.recorders import RecordingObserver, RecordingProtocol
from echoproto.testing.streams import CLIENT_ADDRESS, MemoryTransport, StreamPair

__all__ = [
    "CLIENT_ADDRESS",
    "Datagram",
    "DatagramWire",
    "MemoryDatagramPort",
    "MemoryEndpoint",
    "MemoryTransport",
    "RecordingObserver",
    "RecordingProtocol",
    "StreamPair",
    "endpointTo",
]
