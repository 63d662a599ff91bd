"""Installs a reactor by name."""

from __future__ import annotations

import gc
import sys
from typing import Any

from echoproto.errors import StartupError
from echoproto.reactors.monotonic import useMonotonicTime


def installReactor(name: str | None) -> Any:
    """
    Install the reactor of that name; its timed calls do not depend on the wall clock
    (:func:`~echoproto.reactors.monotonic.useMonotonicTime`).

    :param name: a name of ``twistd --help-reactors``; ``None`` for the direct reactor on Linux, and
        for Twisted's choice elsewhere.
    :return: the reactor.
    :raise StartupError: the reactor is unknown, or cannot be used here.
    """
    name = name or ("direct" if sys.platform == "linux" else "default")
    try:
        reactor = _installDirect() if name == "direct" else _installNamed(name)
    except StartupError:
        raise
    except Exception as error:
        # Python lacks the functions of other systems; the error of Twisted repeats only that.
        isForeign = isinstance(error.__context__, AttributeError)
        why = "it is for another system" if isForeign else str(error)
        raise StartupError(
            f"--reactor {name!r} cannot be used: {why}; omit --reactor, or use one that "
            "twistd --help-reactors lists"
        ) from error
    useMonotonicTime(reactor)
    return reactor


def _installDirect() -> Any:
    # Not by its name: looking that up imports all installed plugins of Twisted.
    from echoproto.reactors import direct

    direct.install()
    from twisted.internet import reactor

    return reactor


def _installNamed(name: str) -> Any:
    from twisted.application.reactors import NoSuchReactor
    from twisted.application.reactors import installReactor as install

    try:
        return install(name)
    except NoSuchReactor:
        raise StartupError(
            f"--reactor {name!r}: unknown reactor; twistd --help-reactors lists them"
        ) from None


def installClientReactor() -> Any:
    """
    Install the default reactor for a client, which can end while a name is looked up.

    What exists when it starts is no longer garbage collected: a full collection of the imported
    modules takes about 45 ms, in which nothing is sent and replies wait.
    """
    from echoproto.reactors.lookups import abandonLookupsAtEnd

    reactor = installReactor(None)
    abandonLookupsAtEnd(reactor)
    reactor.callWhenRunning(gc.freeze)
    return reactor
