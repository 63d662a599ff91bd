"""Makes a reactor measure elapsed time, so that setting the wall clock moves no timed call."""

from __future__ import annotations

import time

from twisted.internet.base import ReactorBase


def useMonotonicTime(reactor: object) -> None:
    """
    Make ``reactor.seconds()``, by which timed calls are due, a monotonic clock.

    Twisted's reactors use the wall clock: set back by an hour, it delays every timed call by an
    hour (twisted#2424); set forward, it makes all of them at once. From now on ``seconds()``
    continues from the time of day at this call, unaffected by later changes, so that calls which
    are scheduled already stay right. A reactor that has a clock of its own is left as it is: a
    ``Clock``, the direct reactor, or one that was changed before.

    :param reactor: any reactor of Twisted.
    """
    if not isinstance(reactor, ReactorBase) or "seconds" in vars(reactor):
        return
    monotonic = time.monotonic
    start = time.time() - monotonic()
    # An attribute of the instance, which Twisted reads for every timed call.
    reactor.seconds = lambda: start + monotonic()
