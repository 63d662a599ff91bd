"""
Name lookups that the end of the process does not wait for.

Twisted looks names up in threads that it joins when the reactor stops, so Ctrl-C would take as long
as the name servers need to answer, or not to answer.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.python.threadpool import ThreadPool

#: Maximum number of lookups at the same time.
MAX_LOOKUPS = 20


class _DaemonThread(Thread):
    """A thread that the interpreter does not join."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, daemon=True)


class _DaemonThreads(ThreadPool):
    threadFactory = _DaemonThread


def abandonLookupsAtEnd(reactor: Any) -> None:
    """
    Look names up in threads that may outlive the reactor.

    :param reactor: an ``IReactorPluggableNameResolver``.
    """
    threads = _DaemonThreads(0, MAX_LOOKUPS, "lookups")
    threads.start()
    reactor.installNameResolver(GAIResolver(reactor, lambda: threads))
