"""
The test suites of other Twisted packages, on the stock epoll reactor and on the direct reactor,
compared test by test.

``python -m tests.reactors.thirdparty`` installs the packages from the package index into a
temporary environment. ``--only NAME`` runs one of them, ``--keep`` writes the table in
``docs/reactor.md``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGE = ROOT / "docs" / "reactor.md"

#: Timeout of a suite, in seconds.
HANG_TIMEOUT = 1800

_BEGIN, _END = "<!-- suites -->\n", "<!-- end of suites -->\n"


@dataclass(frozen=True)
class Suite:
    """
    A package with tests.

    :ivar name: on the package index.
    :ivar version: the version to install.
    :ivar tests: the package of the tests.
    :ivar needs: further requirements of the tests.
    """

    name: str
    version: str
    tests: str
    needs: tuple[str, ...] = ()


SUITES = (
    Suite("treq", "26.7.0", "treq.test", ("httpbin", "hypothesis")),
    Suite("klein", "24.8.0", "klein.test", ("hypothesis", "treq")),
    Suite("tubes", "0.2.1", "tubes.test"),
    Suite("foolscap", "24.9.0", "foolscap.test"),
    Suite("magic-wormhole-mailbox-server", "0.8.0", "wormhole_mailbox_server.test", ("treq",)),
    Suite("magic-wormhole-transit-relay", "0.5.0", "wormhole_transit_relay.test"),
)


def run(suite: Suite, folder: Path, reactor: str) -> dict[str, str]:
    """The outcome of every test of a suite, such as ``[OK]``, by its dotted name."""
    command = [folder / "bin" / "python", "-m", "twisted.trial", "--reporter=verbose"]
    finished = subprocess.run(
        [*map(str, command), f"--reactor={reactor}", suite.tests],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=HANG_TIMEOUT,
        check=False,
    )
    return outcomes(finished.stdout)


def outcomes(text: str) -> dict[str, str]:
    """Parse the output of trial's verbose reporter, indented by module, class and test."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        if line.startswith(("====", "----")):
            break
        named = re.match(r"( *)(\S.*?)(?: \.\.\. +(\[\w+\]))?$", line)
        if named is None:
            continue
        path = [*path[: len(named[1]) // 2], named[2]]
        if named[3]:
            found[".".join(path)] = named[3]
    return found


def compare(suite: Suite) -> str:
    """
    Run a suite on both reactors.

    :return: its row of the table.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        needs = [f"{suite.name}=={suite.version}", *suite.needs, "Twisted[tls]", str(ROOT)]
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, *needs], check=True)
        stock, direct = run(suite, folder, "epoll"), run(suite, folder, "direct")
    differ = sorted(test for test in stock | direct if stock.get(test) != direct.get(test))
    for test in differ:
        print(f"{test}: {stock.get(test)} on epoll, {direct.get(test)} on direct")
    cells = (suite.name, suite.version, counts(stock), counts(direct), f"{len(differ)} differ")
    return f"| {' | '.join(cells)} |"


def counts(found: dict[str, str]) -> str:
    """Outcomes in words: ``120 OK, 3 SKIPPED``."""
    return ", ".join(
        f"{number} {outcome[1:-1]}" for outcome, number in Counter(found.values()).most_common()
    )


def main() -> None:
    """Run the suites, print the table, and exit with 1 if any test differs or a suite has none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append")
    parser.add_argument("--keep", action="store_true", help="write docs/reactor.md")
    options = parser.parse_args()
    rows = [compare(suite) for suite in SUITES if not options.only or suite.name in options.only]
    table = "\n".join(
        ["| suite | version | stock epoll | direct | |", "| --- | --- | --- | --- | --- |", *rows]
    )
    print(table)
    if options.keep:
        before, _, rest = PAGE.read_text().partition(_BEGIN)
        _, _, after = rest.partition(_END)
        PAGE.write_text(f"{before}{_BEGIN}{table}\n{_END}{after}")
    sys.exit(not all(row.endswith("| 0 differ |") and " OK" in row for row in rows))


if __name__ == "__main__":
    main()
