from __future__ import annotations

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from echoproto.reactors.substitute import putSubstitute, takeSubstitute


class SubstituteTests(SynchronousTestCase):
    def test_replaces(self) -> None:
        """A descriptor has the other socket for a while, then its own; children inherit neither."""
        owner, peer = socket.socketpair()
        other, another = socket.socketpair()
        with owner, peer, other, another:
            peer.send(b"own")
            another.send(b"other")
            original = putSubstitute(owner.fileno(), other)
            self.assertEqual(owner.recv(9), b"other")
            self.assertFalse(os.get_inheritable(owner.fileno()))
            takeSubstitute(owner.fileno(), original)
            self.assertEqual(owner.recv(9), b"own")
            self.assertFalse(os.get_inheritable(owner.fileno()))
            self.assertRaises(OSError, os.fstat, original)
