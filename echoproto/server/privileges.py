"""
The user and group that the server runs as, once its listeners are open.

Everything is looked up when the command line is read, so that becoming another user needs no file:
neither ``/etc/passwd`` in a chroot nor one that the new user may not read. The supplementary groups
of the former user are always given up.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from errno import EINVAL

from echoproto.errors import StartupError

#: The largest number of a user or a group: to setuid(2) the one above means no change.
MAXIMUM_ID = 2**32 - 2


def mayRemove(path: str) -> bool:
    """
    Whether the current user may remove the file at this path: it needs write permission in the
    folder, and if that is sticky, as ``/tmp`` is, to own the folder or the file; see unlink(2).
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.access(folder, os.W_OK):
        return False
    owned = os.stat(folder)
    isSticky = owned.st_mode & stat.S_ISVTX
    return not isSticky or os.geteuid() in (owned.st_uid, os.lstat(path).st_uid)


@dataclass(frozen=True)
class Identity:
    """
    A user and its groups.

    :ivar uid: the user; ``None`` to keep the current one.
    :ivar gid: the group; ``None``, without a user, to keep the current one.
    :ivar groups: the supplementary groups.
    """

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()

    @property
    def isCurrent(self) -> bool:
        """Whether the process has this identity already, or cannot give up any groups."""
        isSameUser = self.uid is None or self.uid == os.geteuid()
        return self.gid is None or (isSameUser and self.gid == os.getegid() and os.geteuid() != 0)

    def assume(self) -> None:
        """
        Become this user, for good.

        :raise StartupError: the process may not.
        """
        if self.gid is None or self.isCurrent:
            return
        try:
            os.setgroups(self.groups)
            os.setgid(self.gid)
            if self.uid is not None:
                os.setuid(self.uid)
        except OSError as error:
            user = "" if self.uid is None else f"user {self.uid}, "
            remedy = "start as root"
            if not os.geteuid():
                remedy = "this root needs the capabilities CAP_SETUID and CAP_SETGID"
            if error.errno == EINVAL:
                remedy = "use one that is in /proc/self/uid_map and gid_map of this container"
            raise StartupError(
                f"cannot become {user}group {self.gid}: {error.strerror}; {remedy}"
            ) from error


def identityOf(uid: int | None, gid: int | None) -> Identity:
    """
    The identity of a user and a group.

    A user has the supplementary groups that the group database gives it; a group alone has no
    others. The group is by default that of the user, and for a number without an entry in the user
    database, as containers use, the group of the same number.

    :raise StartupError: there can be no such user or group.
    """
    for option, number in (("uid", uid), ("gid", gid)):
        if number is not None and not 0 <= number <= MAXIMUM_ID:
            raise _unknown(option, str(number))
    if uid is None:
        return Identity(None, gid, () if gid is None else (gid,))
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        group = uid if gid is None else gid
        return Identity(uid, group, (group,))
    group = entry.pw_gid if gid is None else gid
    return Identity(uid, group, tuple(os.getgrouplist(entry.pw_name, group)))


def identityFromText(user: str | None, group: str | None) -> Identity:
    """
    The identity of a user and a group, by name or number.

    :raise StartupError: one of them does not exist.
    """
    uid = _number("uid", user, lambda name: pwd.getpwnam(name).pw_uid)
    gid = _number("gid", group, lambda name: grp.getgrnam(name).gr_gid)
    return identityOf(uid, gid)


def _number(option: str, text: str | None, find: Callable[[str], int]) -> int | None:
    if text is None:
        return None
    # Up to ten digits: int() takes signs, spaces and digits of other scripts too.
    if re.fullmatch(r"[0-9]{1,10}", text):
        return int(text)
    try:
        return find(text)
    except (KeyError, ValueError):
        raise _unknown(option, text) from None


def _unknown(option: str, text: str) -> StartupError:
    kind = {"uid": "user", "gid": "group"}[option]
    return StartupError(
        f"--{option}: no such {kind}: {text!r} (a name, or a number from 0 to {MAXIMUM_ID})"
    )
