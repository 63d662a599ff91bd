"""
The entry point of the command ``echoproto``: the script, and ``python -m echoproto``.

A health check is run every few seconds, and must cost little, so it is run here: the rest of the
command imports click and Twisted, which takes ten times as long.
"""

from __future__ import annotations

import os
import sys

#: Subcommands that handle signals from their start on; ``docs/operation.md`` has those of servers.
_SERVERS = ("serve",)


def start() -> None:
    """
    Run the command with the words of this process.

    :raise SystemExit: with the exit status, unless an interrupt ends the process.
    """
    command = "".join(sys.argv[1:2])
    if os.getpid() == 1:
        _endBySIGTERM()
    try:
        if command == "health":
            from echoproto.cli.healthcheck import runHealthCheck

            status = runHealthCheck(sys.argv[2:])
            if status is not None:
                raise SystemExit(status)
        if command in _SERVERS or command == "health":
            _runMain()
        else:
            _runClient(command)
    except KeyboardInterrupt:
        from echoproto.cli.startsignals import endInterrupted

        endInterrupted(command)


def _endBySIGTERM() -> None:
    """
    Let a container be stopped also while the program loads: the kernel drops signals to process 1
    that have no handler.
    """
    import signal

    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))


def _runClient(command: str) -> None:
    from echoproto.cli.startsignals import startSignals

    with startSignals(command):
        _runMain()


def _runMain() -> None:
    from echoproto.cli.lazyimport import deferUnused

    deferUnused()
    from echoproto.cli.main import main

    main()
