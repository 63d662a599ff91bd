"""
What ``twistd`` loads by name: the options of ``twistd echoproto``, and the service of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions

from echoproto.reactors.monotonic import useMonotonicTime
from echoproto.server.application import EchoprotoService
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.commandline.daemonstart import reportToTerminal
from echoproto.server.commandline.options import Options
from echoproto.server.monitoring.logstream import logStream
from echoproto.server.privileges import Identity, identityOf
from echoproto.server.signals import resetSignals

if TYPE_CHECKING:
    from echoproto.server.certificates.certificatereader import CertificateReader

__all__ = ["Options", "makeService"]


def _takeIdentity(twistdOptions: UsageOptions | None) -> Identity:
    """
    Take ``--uid`` and ``--gid`` over from ``twistd``, which fails for a user without an entry in
    the user database and keeps the supplementary groups of root. With ``--euid`` it stays twistd's.
    """
    if not twistdOptions or twistdOptions.get("euid"):
        return Identity()
    identity = identityOf(twistdOptions.get("uid"), twistdOptions.get("gid"))
    twistdOptions["uid"] = twistdOptions["gid"] = None
    return identity


def _startReader(files: Sequence[TLSFiles]) -> CertificateReader:
    # Imported here: it is needed only by a server that becomes another user.
    from echoproto.server.certificates.certificatereader import CertificateReader

    return CertificateReader(files)


def _openLog(options: Options) -> None:
    """``twistd -n`` writes its log to ``sys.stdout``: see :mod:`..monitoring.logstream`."""
    if options.parent and options.parent.get("nodaemon"):
        sys.stdout = logStream(isShared=False)


def makeService(options: Options) -> IService:
    """The service of parsed ``options``; called by ``twistd``."""
    # Not at module level: importing the reactor installs it, and twistd --reactor chooses it first.
    from twisted.internet import reactor

    useMonotonicTime(reactor)
    _openLog(options)
    resetSignals()
    service: Any = EchoprotoService(
        reactor,
        options.settings,
        identity=_takeIdentity(options.parent),
        startReader=_startReader,
    )
    if options.parent and not options.parent.get("nodaemon"):
        reportToTerminal(service, reactor)
    return IService(service)
