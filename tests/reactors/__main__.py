"""
Compares the direct reactor with the stock epoll reactor, test by test: ``python -m
tests.reactors``.

Every module of Twisted's tests of reactors is run twice, each time in a process of its own
(:mod:`tests.reactors.one`). It ends with 1 where the direct reactor fails, skips or lacks a test
that the stock one passes.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import twisted
import twisted.internet.test

#: Those of ``twisted.test`` that use the reactor of the process.
GLOBAL_REACTOR_TESTS = (
    "test_tcp",
    "test_udp",
    "test_ssl",
    "test_internet",
    "test_tcp_internals",
    "test_policies",
)

#: Fewer tests than this have not been the whole suite; Twisted 24.7 has more.
LEAST_PASSED = 900

#: Seconds that one module may take; the longest takes some ten.
TIME_LIMIT = 120.0

#: How often a module is run in all where the two differ: some of its tests are a matter of luck on
#: any reactor.
ATTEMPTS = 3

Outcomes = dict[str, list[str]]


def modules() -> list[str]:
    """The dotted names of all test modules."""
    folder = twisted.internet.test.__path__
    found = [each.name for each in pkgutil.iter_modules(folder) if each.name.startswith("test_")]
    return [f"twisted.internet.test.{each}" for each in found] + [
        f"twisted.test.{each}" for each in GLOBAL_REACTOR_TESTS
    ]


def outcomes(module: str, reactor: str) -> Outcomes:
    """What became of each test of ``module`` on ``reactor``: its outcome and the reason."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.reactors.one", reactor, module, folder]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return {module: ["hung", f"not done after {TIME_LIMIT:.0f} s"]}
    # What a test prints comes before it.
    lines = ended.stdout.splitlines() or [""]
    try:
        found: Outcomes = json.loads(lines[-1])
    except ValueError:
        return {module: ["died", ended.stderr[-2000:]]}
    return found


def worse(stock: Outcomes, direct: Outcomes) -> list[str]:
    """
    One text for each test that the stock reactor passes or skips and the direct reactor does not.
    """
    found = []
    for test in sorted(stock.keys() | direct.keys()):
        before, _ = stock.get(test, ["not there", ""])
        now, reason = direct.get(test, ["not run", ""])
        if now not in ("passed", before):
            found.append(f"{test}: {before} on stock, {now} on direct\n{reason}")
    return found


def compare(module: str) -> tuple[Outcomes, Outcomes, list[str]]:
    """Run ``module`` on both, again where they differ; what still differs is a difference."""
    for _ in range(ATTEMPTS):
        stock, direct = outcomes(module, "stock"), outcomes(module, "direct")
        differences = worse(stock, direct)
        if not differences:
            break
    return stock, direct, differences


def _count(found: Outcomes, outcome: str) -> int:
    return sum(each[0] == outcome for each in found.values())


def _line(module: str, stock: Outcomes, direct: Outcomes) -> str:
    each = [
        f"{_count(direct, kind)} {kind} (stock {_count(stock, kind)})"
        for kind in ("passed", "skipped", "failed", "error", "hung", "died")
        if _count(direct, kind) + _count(stock, kind)
    ]
    return f"{module}: {', '.join(each) or 'no tests'}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reactors", description=__doc__)
    parser.add_argument("modules", nargs="*", help="dotted names of test modules; all by default")
    chosen = parser.parse_args().modules
    passed, differing = 0, 0
    with ThreadPoolExecutor(2) as pool:
        asked = chosen or modules()
        for module, (stock, direct, differences) in zip(
            asked, pool.map(compare, asked), strict=True
        ):
            print(_line(module, stock, direct), *differences, sep="\n", flush=True)
            passed += _count(direct, "passed")
            differing += len(differences)
    print(f"Twisted {twisted.__version__}: {passed} passed, {differing} worse than on stock epoll")
    if not chosen and passed < LEAST_PASSED:
        print(f"fewer than {LEAST_PASSED} passed: this was not the whole suite")
        return 1
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
