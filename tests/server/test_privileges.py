from __future__ import annotations

import os
import pwd
from errno import EINVAL, EPERM
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.privileges import (
    MAXIMUM_ID,
    Identity,
    identityFromText,
    identityOf,
    mayRemove,
)

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


class IdentityFromTextTests(SynchronousTestCase):
    def test_known(self) -> None:
        """A user and a group are names of the databases, or numbers."""
        self.assertEqual(identityFromText("root", "root"), identityOf(0, 0))
        self.assertEqual(identityFromText("0", "0"), identityOf(0, 0))
        self.assertEqual(identityFromText("4294967294", None).uid, MAXIMUM_ID)
        self.assertEqual(identityFromText(None, None), Identity())

    def test_impossible(self) -> None:
        """
        Anything else is refused in one line with the remedy, also what Python takes for a number,
        and the numbers that mean no change to setuid(2).
        """
        for text in ("", "a b", "-1", "+5", " 5", "1_0", "\u0663", "4294967295", "9" * 5000, "\0"):
            for user, group, start in (
                (text, None, "--uid: no such user: "),
                (None, text, "--gid: "),
            ):
                with self.assertRaises(StartupError) as caught:
                    identityFromText(user, group)
                message = str(caught.exception)
                self.assertTrue(message.startswith(start), message)
                self.assertIn(f"{text!r} (a name, or a number from 0 to 4294967294)", message)

    def test_numbers(self) -> None:
        """So are such numbers of twistd."""
        with self.assertRaisesRegex(StartupError, "^--uid: no such user: '-1' "):
            identityOf(-1, None)
        with self.assertRaisesRegex(StartupError, "^--gid: no such group: '4294967295' "):
            identityOf(None, 4294967295)


class MayRemoveTests(SynchronousTestCase):
    def test_folder(self) -> None:
        """A file may be removed by who may write in its folder."""
        asked: list[tuple[str, int]] = []
        self.patch(os, "access", lambda *arguments: asked.append(arguments))
        self.assertFalse(mayRemove("/run/echo.sock"))
        self.assertEqual(asked, [("/run", os.W_OK)])

    def test_sticky(self) -> None:
        """In a sticky folder it may be removed by its owner and by that of the folder only."""
        folder = self.mktemp()
        path = os.path.join(folder, "echo.sock")
        os.mkdir(folder)
        open(path, "w").close()
        for mode, uid, may in (
            (0o1777, os.geteuid(), True),
            (0o1777, os.geteuid() + 1, False),
            (0o777, os.geteuid() + 1, True),
        ):
            os.chmod(folder, mode)
            with mock.patch("os.geteuid", lambda uid=uid: uid):
                self.assertEqual(mayRemove(path), may)


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
        """A missing permission, or a number that a container does not have, is one line."""
        unmapped = "no; use one that is in /proc/self/uid_map and gid_map of this container"
        capabilities = "no; this root needs the capabilities CAP_SETUID and CAP_SETGID"
        missing = PermissionError(EPERM, "no")
        for identity, error, user, message in (
            (Identity(5, 7, (7,)), missing, 9, "user 5, group 7: no; start as root"),
            (Identity(5, 7, (7,)), missing, 0, f"user 5, group 7: {capabilities}"),
            (Identity(None, 7, (7,)), OSError(EINVAL, "no"), 0, f"group 7: {unmapped}"),
        ):
            with (
                mock.patch.object(os, "setgroups", side_effect=error),
                mock.patch.object(os, "geteuid", return_value=user),
                self.assertRaises(StartupError) as caught,
            ):
                identity.assume()
            self.assertEqual(str(caught.exception), f"cannot become {message}")
