from __future__ import annotations

import socket
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import (
    CONNECTION_MEMORY,
    MIN_CONNECTIONS,
    RESERVED_DESCRIPTORS,
    RESERVED_MEMORY,
    Settings,
)
from echoproto.server.systemd import PassedSocket
from echoproto.status.state import MAXIMUM_CONNECTIONS

GROUPS = [parseListener("echo", "7")]


class SettingsTests(SynchronousTestCase):
    def test_connectionLimit(self) -> None:
        """The default limit is the descriptors less the reserve and two per listener."""
        limit = Settings(GROUPS).connectionLimit(1024)
        self.assertEqual(limit, 1024 - RESERVED_DESCRIPTORS - 8)
        self.assertEqual(Settings(GROUPS, maxConnections=100).connectionLimit(1024), 100)
        passed = PassedSocket(3, "echo", socket.SOCK_STREAM, socket.AF_INET)
        groups = [[Listener("echo", "systemd:echo", passed=passed)]]
        self.assertEqual(Settings(groups).connectionLimit(1024), 1024 - RESERVED_DESCRIPTORS - 2)

    def test_status(self) -> None:
        """The connections of a status listener have descriptors in reserve."""
        groups = [[Listener("echo", "tcp:7")], [Listener("status", "tcp:9100")]]
        self.assertEqual(
            Settings(groups).connectionLimit(1024),
            1024 - RESERVED_DESCRIPTORS - 4 - MAXIMUM_CONNECTIONS,
        )

    def test_memory(self) -> None:
        """The memory left after the reserve is shared by the processes and their connections."""
        memory = RESERVED_MEMORY * 4 + CONNECTION_MEMORY * 400
        self.assertEqual(Settings(GROUPS, processes=4).connectionLimit(1024, memory), 100)
        self.assertEqual(Settings(GROUPS, processes=4).connectionsInMemory(memory), 100)
        self.assertEqual(Settings(GROUPS).connectionLimit(1024, 48 << 20), MIN_CONNECTIONS)
        self.assertEqual(Settings(GROUPS, maxConnections=100).connectionLimit(1024, 1.0), 100)

    def test_tooFewDescriptors(self) -> None:
        """A limit above the descriptors is reported with the remedy."""
        for settings, descriptors in (
            (Settings(GROUPS, maxConnections=985), 1024),
            (Settings(GROUPS), 36),
        ):
            with self.assertRaises(StartupError) as raised:
                settings.connectionLimit(descriptors)
            self.assertIn("raise the limit (ulimit -n, LimitNOFILE=)", str(raised.exception))
            self.assertEqual(len(str(raised.exception).splitlines()), 1)

    def test_usesTLS(self) -> None:
        """It is known whether any listener has certificates."""
        self.assertFalse(Settings(GROUPS).usesTLS)
        groups = [*GROUPS, parseListener("echo", "8", tls=TLSFiles("c", "k"))]
        self.assertTrue(Settings(groups).usesTLS)

    def test_perSourceLimit(self) -> None:
        """By default one source may have half of all connections, at least one."""
        self.assertEqual(Settings(GROUPS).perSourceLimit(988), 494)
        self.assertEqual(Settings(GROUPS).perSourceLimit(1), 1)
        self.assertEqual(Settings(GROUPS, maxPerSource=inf).perSourceLimit(988), inf)
