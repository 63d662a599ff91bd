"""Test all available servers, and print the page or write it: ``python -m tests.interop``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tests.interop.page import page
from tests.interop.servers import ECHOPROTO, SERVERS, Missing, Server, failures, graded
from tests.loopback.program import ROOT


def main() -> int:
    """Return 1 if a check of echoproto fails, or a known fault of another server is not found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.interop", description="Test echoproto and other echo servers."
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="servers of this name")
    parser.add_argument("--keep", action="store_true", help="write docs/conformance.md")
    options = parser.parse_args()
    chosen = [server for server in SERVERS if not options.only or server.name in options.only]
    results = {server: found for server in chosen if (found := _conformance(server)) is not None}
    text = page({(server.name, server.version()): found for server, found in results.items()})
    if options.keep:
        (ROOT / "docs" / "conformance.md").write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 1 if any(_reportUnexpected(server, found) for server, found in results.items()) else 0


def _conformance(server: Server) -> dict[str, Any] | None:
    try:
        _, output = graded(server, "--risky", "-o", "json")
    except Missing as missing:
        print(f"not tested: {missing}", file=sys.stderr)
        return None
    return dict(json.loads(output))


def _reportUnexpected(server: Server, found: dict[str, Any]) -> bool:
    """Print unexpected failures and missed faults; return whether there were any."""
    failed = failures(found)
    messages = [f"did not fail: {fault}" for fault in server.faults if fault not in failed]
    messages += [f"failed: {check}" for check in failed if server in ECHOPROTO]
    for message in messages:
        print(f"{server.name}: {message}", file=sys.stderr)
    return bool(messages)


if __name__ == "__main__":
    sys.exit(main())
