"""
The contract of the echo service on every carrier, independent of the carrier.

Subclasses provide the carrier: ``tests/contract/test_memory.py`` in memory,
``tests/loopback/test_carriers.py`` on real sockets.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from echoproto.errors import Closed


class EchoContract(TestCase):
    """A contract whose subclasses connect a client and move its data."""

    #: Timeout of trial, in seconds.
    timeout = 300

    #: Maximum size of a message on the carrier.
    longest = 1_000_000

    def connect(self) -> Deferred[Any]:
        """Connect a client to an echo service on this carrier."""
        raise NotImplementedError

    def move(self) -> None:
        """Move pending data; does nothing if the carrier moves it by itself."""

    def moved(self, reply: Deferred[Any]) -> Deferred[Any]:
        """Move pending data and return the reply."""
        self.move()
        return reply

    async def test_sizes(self) -> None:
        """Messages of every size up to the maximum are echoed completely."""
        client = await self.connect()
        for size in (0, 1, 1472, 2049, 4097, 8193, 32_768, 65_507, self.longest):
            message = os.urandom(size)
            self.assertEqual(await self.moved(client.echo(message)), message)
        await self.moved(client.close())

    async def test_everyByteValue(self) -> None:
        """Every byte value is echoed unchanged."""
        client = await self.connect()
        for value in range(256):
            message = bytes([value])
            self.assertEqual(await self.moved(client.echo(message)), message)
        await self.moved(client.close())

    async def test_pipelined(self) -> None:
        """Pipelined messages are echoed to their own requests."""
        client = await self.connect()
        messages = [b"%d" % number for number in range(100)]
        replies = [client.echo(message) for message in messages]
        self.assertEqual(await self.moved(gatherResults(replies)), messages)
        await self.moved(client.close())

    async def test_closeWaits(self) -> None:
        """close() waits for outstanding replies."""
        client = await self.connect()
        reply = client.echo(b"last")
        closed = client.close()
        self.move()
        self.assertEqual(await reply, b"last")
        await closed
        with self.assertRaises(Closed):
            await client.echo(b"later")

    async def test_twoClients(self) -> None:
        """Clients do not receive each other's data."""
        first, second = await self.connect(), await self.connect()
        replies = [first.echo(b"first"), second.echo(b"second")]
        self.assertEqual(await self.moved(gatherResults(replies)), [b"first", b"second"])
        await self.moved(first.close())
        await self.moved(second.close())
