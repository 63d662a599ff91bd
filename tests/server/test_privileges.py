from __future__ import annotations

import os
import pwd
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.privileges import Identity, identityOf, mayRemove

#: A number without an entry in the user database.
UNKNOWN = 345_678


class IdentityOfTests(SynchronousTestCase):
    def setUp(self) -> None:
        entry = mock.Mock(pw_name="echo", pw_gid=7)
        entries = mock.Mock(side_effect=lambda uid: {5: entry}[uid])
        self.patch(pwd, "getpwuid", entries)
        self.patch(os, "getgrouplist", lambda name, gid: [gid, 50])

    def test_user(self) -> None:
        """A user has its own groups, and its own group unless another one is given."""
        self.assertEqual(identityOf(5, None), Identity(5, 7, (7, 50)))
        self.assertEqual(identityOf(5, 8), Identity(5, 8, (8, 50)))

    def test_noEntry(self) -> None:
        """A number without an entry in the user database has the group of the same number."""
        self.assertEqual(identityOf(UNKNOWN, None), Identity(UNKNOWN, UNKNOWN, (UNKNOWN,)))
        self.assertEqual(identityOf(UNKNOWN, 8), Identity(UNKNOWN, 8, (8,)))

    def test_groupAlone(self) -> None:
        """A group alone has no supplementary groups."""
        self.assertEqual(identityOf(None, 8), Identity(None, 8, (8,)))
        self.assertEqual(identityOf(None, None), Identity())


class MayRemoveTests(SynchronousTestCase):
    def test_folder(self) -> None:
        """A file may be removed by who may write in its folder."""
        asked: list[tuple[str, int]] = []
        self.patch(os, "access", lambda *arguments: asked.append(arguments))
        mayRemove("/run/echo.sock")
        self.assertEqual(asked, [("/run", os.W_OK)])


class AssumeTests(SynchronousTestCase):
    def calls(self, identity: Identity, uid: int, gid: int) -> list[Any]:
        """The system calls by which a process of this user and group assumes the identity."""
        system = mock.Mock()
        self.patch(os, "geteuid", lambda: uid)
        self.patch(os, "getegid", lambda: gid)
        for name in ("setgroups", "setgid", "setuid"):
            self.patch(os, name, getattr(system, name))
        identity.assume()
        return system.mock_calls

    def test_root(self) -> None:
        """Groups are given up first, the user last."""
        self.assertEqual(
            self.calls(Identity(5, 7, (7, 50)), 0, 0),
            [mock.call.setgroups((7, 50)), mock.call.setgid(7), mock.call.setuid(5)],
        )

    def test_groupAlone(self) -> None:
        """With a group alone the supplementary groups are given up, too."""
        self.assertEqual(
            self.calls(Identity(None, 7, (7,)), 0, 0),
            [mock.call.setgroups((7,)), mock.call.setgid(7)],
        )

    def test_nothing(self) -> None:
        """Nothing changes without a user and a group, or if an ordinary user asks for itself."""
        self.assertEqual(self.calls(Identity(), 0, 0), [])
        self.assertEqual(self.calls(Identity(5, 7, (7,)), 5, 7), [])

    def test_mayNot(self) -> None:
        """A missing permission, and a number out of range, are reported in one line."""
        for error in (PermissionError(1, "no"), OverflowError("too large")):
            with (
                mock.patch.object(os, "setgroups", side_effect=error),
                mock.patch.object(os, "geteuid", return_value=0),
                self.assertRaisesRegex(StartupError, "^cannot become user 5, group 7: .*; start"),
            ):
                Identity(5, 7, (7,)).assume()
