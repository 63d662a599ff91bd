"""
The user and group that the server runs as, once its listeners are open.

Everything is looked up when the command line is read, so that becoming another user needs no file:
neither ``/etc/passwd`` in a chroot nor one that the new user may not read. The supplementary groups
of the former user are always given up.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from echoproto.errors import StartupError


def mayRemove(path: str) -> bool:
    """Whether the current user may remove the file at this path."""
    return os.access(os.path.dirname(os.path.abspath(path)), os.W_OK)


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
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StartupError(
                f"cannot become user {self.uid}, group {self.gid}: {reason}; start as root"
            ) from error


def identityOf(uid: int | None, gid: int | None) -> Identity:
    """
    The identity of a user and a group.

    A user has the supplementary groups that the group database gives it; a group alone has no
    others. The group is by default that of the user, and for a number without an entry in the user
    database, as containers use, the group of the same number.
    """
    if uid is None:
        return Identity(None, gid, () if gid is None else (gid,))
    try:
        entry = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        group = uid if gid is None else gid
        return Identity(uid, group, (group,))
    group = entry.pw_gid if gid is None else gid
    return Identity(uid, group, tuple(os.getgrouplist(entry.pw_name, group)))
