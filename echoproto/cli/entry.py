"""
The entry point of the command ``echoproto``: the script, and ``python -m echoproto``.

A health check is run every few seconds, and must cost little, so it is run here: the rest of the
command imports click and Twisted, which takes ten times as long.
"""

from __future__ import annotations

import sys


def start() -> None:
    """
    Run the command with the words of this process.

    :raise SystemExit: always, with the exit status.
    """
    try:
        if sys.argv[1:2] == ["health"]:
            from echoproto.cli.healthcheck import runHealthCheck

            status = runHealthCheck(sys.argv[2:])
            if status is not None:
                raise SystemExit(status)
        from echoproto.cli.main import main
    except KeyboardInterrupt:
        # While modules are imported; the status is that of main().
        raise SystemExit(130) from None
    main()
