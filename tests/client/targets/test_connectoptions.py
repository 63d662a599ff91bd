from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions


class ConnectOptionsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """By default everything is the kernel's choice, and certificates are verified."""
        connect = ConnectOptions()
        self.assertEqual((connect.family, connect.verify), (socket.AF_UNSPEC, True))
        self.assertEqual((connect.interface, connect.tos, connect.ttl), ("", None, None))
