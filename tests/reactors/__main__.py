"""
Compare the direct reactor with the stock epoll reactor, test by test.

``python -m tests.reactors`` runs every module of Twisted's reactor tests twice, in separate
processes (:mod:`tests.reactors.one`). Its exit status is 1 if the direct reactor fails, skips or
lacks a test that the stock one passes.
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

#: Modules of ``twisted.test`` that use the global reactor.
GLOBAL_REACTOR_TESTS = (
    "test_tcp",
    "test_udp",
    "test_ssl",
    "test_internet",
    "test_tcp_internals",
    "test_policies",
)

#: With fewer passed tests than this, the suite was incomplete; Twisted 24.7 has more.
LEAST_PASSED = 900

#: Time limit of one module, in seconds; the slowest takes about ten.
TIME_LIMIT = 120.0

#: Maximum number of runs of a module whose results differ: some of its tests depend on timing on
#: any reactor.
ATTEMPTS = 3

Outcomes = dict[str, list[str]]


def modules() -> list[str]:
    """Return the dotted names of all test modules."""
    folder = twisted.internet.test.__path__
    names = [found.name for found in pkgutil.iter_modules(folder)]
    return [
        *(f"twisted.internet.test.{name}" for name in names if name.startswith("test_")),
        *(f"twisted.test.{name}" for name in GLOBAL_REACTOR_TESTS),
    ]


def outcomes(module: str, reactor: str) -> Outcomes:
    """Run ``module`` on ``reactor``; return the outcome and reason of every test."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.reactors.one", reactor, module, folder]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return {module: ["hung", f"not done after {TIME_LIMIT:.0f} s"]}
    # Output of the tests precedes the result.
    lines = ended.stdout.splitlines() or [""]
    try:
        found: Outcomes = json.loads(lines[-1])
    except ValueError:
        return {module: ["died", ended.stderr[-2000:]]}
    return found


def worse(stock: Outcomes, direct: Outcomes) -> list[str]:
    """Describe every test that has a worse outcome on the direct than on the stock reactor."""
    found = []
    for test in sorted(stock.keys() | direct.keys()):
        before, _ = stock.get(test, ["not there", ""])
        now, reason = direct.get(test, ["not run", ""])
        if now not in ("passed", before):
            found.append(f"{test}: {before} on stock, {now} on direct\n{reason}")
    return found


def compare(module: str) -> tuple[Outcomes, Outcomes, list[str]]:
    """Run ``module`` on both reactors, again if results differ, and return the last difference."""
    for _ in range(ATTEMPTS):
        stock, direct = outcomes(module, "stock"), outcomes(module, "direct")
        differences = worse(stock, direct)
        if not differences:
            break
    return stock, direct, differences


def _count(found: Outcomes, outcome: str) -> int:
    return sum(kind == outcome for kind, _ in found.values())


def _line(module: str, stock: Outcomes, direct: Outcomes) -> str:
    totals = [
        f"{_count(direct, kind)} {kind} (stock {_count(stock, kind)})"
        for kind in ("passed", "skipped", "failed", "error", "hung", "died")
        if _count(direct, kind) + _count(stock, kind)
    ]
    return f"{module}: {', '.join(totals) or 'no tests'}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reactors", description=__doc__)
    parser.add_argument("modules", nargs="*", help="dotted names of test modules; all by default")
    chosen = parser.parse_args().modules
    passed = 0
    differing: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        names = chosen or modules()
        for module, (stock, direct, differences) in zip(
            names, pool.map(compare, names), strict=True
        ):
            print(_line(module, stock, direct), flush=True)
            passed += _count(direct, "passed")
            differing += differences
    # Last, so that the end of the output has them.
    print(*differing, sep="\n")
    compared = f"{len(differing)} worse than on stock epoll"
    print(f"Twisted {twisted.__version__}: {passed} passed, {compared}")
    if not chosen and passed < LEAST_PASSED:
        print(f"fewer than {LEAST_PASSED} passed: the suite was incomplete")
        return 1
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
