"""
In-memory carriers for tests: a pair of stream transports and a wire for datagrams. No socket, no
running reactor, nothing that happens by itself.

For the tests of this package and of applications that use it: real client code runs against real
server code, and the test says when bytes move::

    clock = Clock()
    endpoint, pairs = endpointTo(EchoFactory(clock))
    client = await connectEcho(endpoint, clock)
    reply = client.echo(b"hi")
    pairs[0].pump()
    assert await reply == b"hi"

What Twisted's own fakes do not model and these do: a paused reader is not read from, a
transport with a full queue pauses its producer, each direction ends by itself (half-close), closing
with unread input resets the other end, bytes arrive in pieces of any size, and datagrams are lost,
doubled, reordered and corrupted on command.

==================== =====================================================
:mod:`.streams`      :class:`StreamPair`, :func:`endpointTo`
:mod:`.datagrams`    :class:`DatagramWire`
:mod:`.recorders`    a protocol and an observer that note what they are told
==================== =====================================================
"""

from __future__ import annotations

from echoproto.testing.datagrams import Datagram, DatagramWire, MemoryDatagramPort
from echoproto.testing.recorders import RecordingObserver, RecordingProtocol
from echoproto.testing.streams import MemoryEndpoint, MemoryTransport, StreamPair, endpointTo

__all__ = [
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
