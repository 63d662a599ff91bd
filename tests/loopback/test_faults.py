"""Faults on purpose, over real sockets."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.command import runCommand
from tests.loopback.program import Program

SERVE = [sys.executable, "-m", "echoproto", "serve", "--interface", "127.0.0.1", "--port", "0"]


def run(*words: str) -> str:
    """The output of a measuring command, whatever its status."""
    ended = runCommand(*words)
    return ended.stdout


def logged(program: Program, carrier: str) -> Counter[str]:
    """The faults in the log of a program, by kind, also of several workers and reports."""
    found: Counter[str] = Counter()
    for line in program.log:
        if f"echo on {carrier} " in line:
            _, _, faults = line.partition("faults on purpose: ")
            for number, kind in re.findall(r"(\d+) ([a-z-]+)", faults):
                found[kind] += int(number)
    return found


class FaultTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """ping finds the faults that the server has counted, on UDP and TCP, also of a worker."""
        plan = "loss=10% duplicate=5% corrupt=5% delay=2ms"
        for more in ((), ("--workers", "2")):
            command = [*SERVE, "--fault", plan, "--fault-seed", "1", *more]
            with Program(command=command, listeners=2) as program:
                words = ("-c", "200", "-i", "2ms", "-W", "200ms", "-o", "json")
                pinged = run("ping", *words, f"udp://127.0.0.1:{program.port()}")
                verified = run("verify", "--bytes", "1MiB", f"tcp://127.0.0.1:{program.port()}")
            self.assertEqual(len([line for line in program.log if "WARNING" in line]), 2)
            [found] = json.loads(pinged)["targets"]
            faults = logged(program, "udp")
            self.assertEqual(
                [found["lost"], found["duplicates"], found["corrupt"]],
                [faults["loss"], faults["duplicate"], faults["corrupt"]],
            )
            self.assertGreater(faults["loss"], 0)
            self.assertEqual(verified.count("flipped at"), logged(program, "tcp")["corrupt"])
