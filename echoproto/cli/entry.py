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

#: Subcommands that have figures to show.
_MEASUREMENTS = ("ping", "load", "verify", "conformance", "greet", "monitor")


def start() -> None:
    """
    Run the command with the words of this process.

    :raise SystemExit: always, with the exit status.
    """
    command = "".join(sys.argv[1:2])
    try:
        if command == "health":
            from echoproto.cli.healthcheck import runHealthCheck

            status = runHealthCheck(sys.argv[2:])
            if status is not None:
                raise SystemExit(status)
        elif command not in _SERVERS:
            handleStartSignals(command)
        from echoproto.cli.lazyimport import deferUnused

        deferUnused()
        from echoproto.cli.main import main

        main()
    except KeyboardInterrupt:
        os.write(2, b"echoproto: interrupted\n")
        # 130 is exitcodes.INTERRUPTED, which would have to be imported; a monitor was stopped.
        raise SystemExit(0 if command == "monitor" else 130) from None


def handleStartSignals(command: str) -> None:
    """
    Handle signals until the command handles them itself: SIGTERM and SIGHUP interrupt it as Ctrl-C
    does, and SIGQUIT shows that there are no figures yet.

    SIGHUP stays ignored if the caller ignores it, as nohup(1) does. A monitor ignores it, as it
    will read its file anyway.

    :param command: the subcommand.
    """
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if command == "monitor":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    elif signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    if command in _MEASUREMENTS:
        signal.signal(signal.SIGQUIT, _showNothing)


def _showNothing(number: int, frame: object) -> None:
    os.write(2, b"echoproto: nothing was measured yet\n")
