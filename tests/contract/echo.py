"""
What holds for echo on every carrier: the contract, and nothing of how a carrier is made.

The suites that run it give it a carrier: ``tests/contract/test_memory.py`` in memory,
``tests/loopback/test_carriers.py`` on real sockets.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from echoproto.errors import Closed


class EchoContract(TestCase):
    """Run by the subclasses, each of which says how its client is connected and bytes are moved."""

    #: Seconds after which trial gives a test up.
    timeout = 300

    #: The longest message that the carrier takes.
    longest = 1_000_000

    def connect(self) -> Deferred[Any]:
        """A client of an echo service on this carrier."""
        raise NotImplementedError

    def move(self) -> None:
        """Move what waits; a carrier on which bytes move by themselves does nothing."""

    def moved(self, asked: Deferred[Any]) -> Deferred[Any]:
        """``asked``, once what waits was moved."""
        self.move()
        return asked

    async def test_sizes(self) -> None:
        """Messages of every size come back whole, the longest that the carrier takes included."""
        client = await self.connect()
        for size in (0, 1, 1472, 2049, 4097, 8193, 32_768, 65_507, self.longest):
            message = os.urandom(size)
            self.assertEqual(await self.moved(client.echo(message)), message)
        await self.moved(client.close())

    async def test_everyByteValue(self) -> None:
        """No byte value means anything to an echo."""
        client = await self.connect()
        for value in range(256):
            message = bytes([value])
            self.assertEqual(await self.moved(client.echo(message)), message)
        await self.moved(client.close())

    async def test_pipelined(self) -> None:
        """Many may be outstanding; each comes back to who asked."""
        client = await self.connect()
        messages = [b"%d" % number for number in range(100)]
        asked = [client.echo(message) for message in messages]
        self.assertEqual(await self.moved(gatherResults(asked)), messages)
        await self.moved(client.close())

    async def test_closeWaits(self) -> None:
        """What is outstanding when the client is closed still comes back."""
        client = await self.connect()
        asked = client.echo(b"last")
        closed = client.close()
        self.move()
        self.assertEqual(await asked, b"last")
        await closed
        with self.assertRaises(Closed):
            await client.echo(b"later")

    async def test_twoClients(self) -> None:
        """Clients do not get each other's bytes."""
        first, second = await self.connect(), await self.connect()
        asked = [first.echo(b"first"), second.echo(b"second")]
        self.assertEqual(await self.moved(gatherResults(asked)), [b"first", b"second"])
        await self.moved(first.close())
        await self.moved(second.close())
