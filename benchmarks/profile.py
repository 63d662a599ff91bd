"""
Where our server's time goes, by function: ``python -m benchmarks.profile``.

The server runs in this process under cProfile, which makes calls dearer than they are: read it for what is called and how often,
and ``python -m benchmarks`` for what it costs.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import subprocess
import sys
from os import getpid
from typing import Any

from benchmarks.building import LOAD, build

#: Seconds more than it measures that the load takes.
MARGIN = 2.0


def main() -> None:
    """Serve, be asked, and print the functions by their own time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--mode", choices=["echo", "churn", "udp"], default="echo")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message [1024]")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--reactor", default="direct")
    parser.add_argument("--functions", type=int, default=25, help="how many to print")
    options = parser.parse_args()
    build()
    from echoproto.reactors.install import installReactor

    reactor = installReactor(options.reactor)
    port = _serve(reactor, options.mode == "udp")
    command = [str(LOAD), options.mode, *_words(options, port), str(getpid())]
    with subprocess.Popen(command, stdout=sys.stderr) as asking:
        reactor.callLater(options.seconds + MARGIN, reactor.stop)
        profile = cProfile.Profile()
        profile.runcall(reactor.run)
        asking.kill()
    pstats.Stats(profile).sort_stats("tottime").print_stats(options.functions)


def _serve(reactor: Any, datagrams: bool) -> int:
    from echoproto.protocols.admission import DatagramAdmission
    from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
    from echoproto.transports.udp import listenDatagrams

    if datagrams:
        admission = DatagramAdmission(reactor.seconds, 1e9)
        service: Any = EchoDatagramProtocol(reactor, admission=admission)
        port: Any = listenDatagrams(reactor, 0, service, "127.0.0.1")
    else:
        port = reactor.listenTCP(0, EchoFactory(reactor), 1024, "127.0.0.1")
    number: int = port.getHost().port
    return number


def _words(options: argparse.Namespace, port: int) -> list[str]:
    size = [] if options.mode == "churn" else [options.size]
    host = ["127.0.0.1"] if options.mode == "udp" else []
    return [str(each) for each in (*host, port, options.connections, *size, options.seconds)]


if __name__ == "__main__":
    main()
