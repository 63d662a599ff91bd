"""``python -m tests.interop``: grades every server that is here, and prints or keeps the table."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tests.interop.page import page
from tests.interop.servers import OURS, SERVERS, Missing, Server, failures, graded
from tests.loopback.program import ROOT


def main() -> int:
    """Grade; returns 1 where one of ours fails a check, or a fault that is known is not found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.interop", description="Grade echo servers: ours and other people's."
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="servers of this name")
    parser.add_argument("--keep", action="store_true", help="write docs/conformance.md")
    options = parser.parse_args()
    chosen = [each for each in SERVERS if not options.only or each.name in options.only]
    results = {each: found for each in chosen if (found := _graded(each)) is not None}
    text = page({(each.name, each.version()): found for each, found in results.items()})
    if options.keep:
        (ROOT / "docs" / "conformance.md").write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 1 if any(_surprises(each, found) for each, found in results.items()) else 0


def _graded(server: Server) -> dict[str, Any] | None:
    try:
        _, said = graded(server, "--risky", "-o", "json")
    except Missing as missing:
        print(f"not graded: {missing}", file=sys.stderr)
        return None
    return dict(json.loads(said))


def _surprises(server: Server, found: dict[str, Any]) -> bool:
    """Whether something failed at one of ours, or what must fail at another's did not."""
    failed = failures(found)
    wrong = [f"did not fail: {each}" for each in server.faults if each not in failed]
    wrong += [f"failed: {each}" for each in failed if server in OURS]
    for each in wrong:
        print(f"{server.name}: {each}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
