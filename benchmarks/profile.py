"""
Profiles our server by function: ``python -m benchmarks.profile``.

The server runs in this process under cProfile, which adds a cost to every call: it shows the
functions and their number of calls, and ``python -m benchmarks`` shows the real cost.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
from os import getpid
from typing import Any

from benchmarks.build import LOAD, build

#: Seconds that the load generator runs in addition to its measurement.
EXTRA_SECONDS = 2.0


def main() -> None:
    """Serve the load generator, and print the functions in order of their own time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--mode", choices=["echo", "churn", "udp"], default="echo")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=1024, help="size of a message in bytes [1024]")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--reactor", default="direct")
    parser.add_argument(
        "--functions", type=int, default=25, help="number of functions to print [25]"
    )
    options = parser.parse_args()
    build()
    from twisted.application.reactors import installReactor

    reactor: Any = installReactor(options.reactor)
    port = _serve(reactor, options.mode == "udp")
    numbers = (port, options.connections, options.size, options.seconds, getpid())
    command = [str(LOAD), options.mode, *map(str, numbers)]
    with subprocess.Popen(command, stdout=sys.stderr) as load:
        reactor.callLater(options.seconds + EXTRA_SECONDS, reactor.stop)
        profile = cProfile.Profile()
        profile.runcall(reactor.run)
        load.kill()
    pstats.Stats(profile).sort_stats("tottime").print_stats(options.functions)


def _serve(reactor: Any, datagrams: bool) -> int:
    from echoproto import DatagramAdmission, EchoDatagramProtocol, EchoFactory, listenDatagrams

    if datagrams:
        admission = DatagramAdmission(reactor.seconds, 1e9)
        service: Any = EchoDatagramProtocol(reactor, admission=admission)
        port: Any = listenDatagrams(reactor, 0, service, "127.0.0.1")
    else:
        port = reactor.listenTCP(0, EchoFactory(reactor), 1024, "127.0.0.1")
    portNumber: int = port.getHost().port
    return portNumber


if __name__ == "__main__":
    main()
