from __future__ import annotations

import os
import socket
import threading
from typing import cast
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.reactors.readwatch import LONGEST_READ, ReadWatch


class ReadWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watch = ReadWatch()
        self.owner, self.peer = socket.socketpair()
        for end in (self.owner, self.peer):
            self.addCleanup(end.close)
            end.setblocking(False)

    def test_long(self) -> None:
        """A read in progress at two checks finds the end of input; then its socket is back."""
        self.peer.send(b"unread")
        self.watch.begin(self.owner)
        self.watch.check()
        self.assertEqual(os.read(self.owner.fileno(), 1), b"u")
        for _ in range(2):
            self.watch.check()
            self.assertEqual(os.read(self.owner.fileno(), 1), b"")
        self.assertRaises(TimeoutError, self.watch.end)
        self.assertEqual(os.read(self.owner.fileno(), 9), b"nread")
        self.assertFalse(os.get_inheritable(self.owner.fileno()))

    def test_short(self) -> None:
        """Reads that end before the second check are left alone, and so is a reactor that waits."""
        for _ in range(3):
            self.watch.begin(self.owner)
            self.watch.check()
            self.watch.end()
            self.watch.check()
        self.peer.send(b"x")
        self.assertEqual(os.read(self.owner.fileno(), 1), b"x")

    def test_endedMeanwhile(self) -> None:
        """A read that ends while the check looks at it is left alone, and so is the next."""
        self.watch.begin(self.owner)
        self.watch.check()
        with mock.patch.object(self.watch, "_lock") as lock:
            lock.__enter__.side_effect = lambda: setattr(self.watch, "_current", None)
            self.watch.check()
        self.watch.begin(self.owner)
        self.watch.end()
        self.peer.send(b"x")
        self.assertEqual(os.read(self.owner.fileno(), 1), b"x")

    def test_noDescriptor(self) -> None:
        """Without a free descriptor the read goes on, and the next check tries again."""
        self.watch.begin(self.owner)
        self.watch.check()
        for name in ("socketpair", "dup"):
            where = socket if name == "socketpair" else os
            with mock.patch.object(where, name, side_effect=OSError):
                self.watch.check()
            self.assertRaises(BlockingIOError, os.read, self.owner.fileno(), 1)
        self.watch.check()
        self.assertRaises(TimeoutError, self.watch.end)

    def test_thread(self) -> None:
        """One thread checks after every interval."""
        intervals: list[float] = []

        def wait(seconds: float) -> bool:
            intervals.append(seconds)
            return len(intervals) == 3

        watch = ReadWatch(wait)
        with mock.patch.object(watch, "check") as check:
            watch.start()
            thread = watch._thread
            watch.start()
            self.assertIs(watch._thread, thread)
            cast(threading.Thread, thread).join(120)
        self.assertEqual((intervals, check.call_count), ([LONGEST_READ] * 3, 2))
