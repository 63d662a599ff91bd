"""
What came of the servers, as a page: checks as rows, servers as columns. Pure, save that it asks for
the date and the machine.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import date
from typing import Any

_HEAD = """# Conformance of echo servers

What `echoproto conformance --carrier all --risky` says of echo servers, ours and other people's, each started as its users would start it, on every
address of one machine, and asked at 127.0.0.1. `python -m tests.interop --keep` makes this page; made {date} on {system}.
What each check asks, `echoproto conformance --list` tells; [measuring.md](measuring.md#conformance) says more.

It is one run: what hangs on what comes together by chance differs from run to run. Limits of how often a server may be asked are lifted, which are no faults;
and inetd, which answers no datagrams from loopback, has a network of its own, in which it is asked from another address.
"""

_SIGNS = {"passed": "yes", "failed": "**no**", "skipped": "not asked"}


def page(results: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """
    The page.

    :param results: what was found (``ConformanceDocument``), by the server's name and version.
    """
    names = [f"{name} {version}".strip() for name, version in results]
    found = list(results.values())
    lines = [_head(), _row("check", names), _row("---", ["---"] * len(names))]
    for number, check in enumerate(found[0]["checks"]):
        signs = [_SIGNS[each["checks"][number]["verdict"]] for each in found]
        lines.append(_row(f"{check['carrier']} {check['name']}", signs))
    lines += ["", "Why, for each that failed or could not be asked:", ""]
    for name, each in zip(names, found, strict=True):
        lines += _reasons(name, each)
    return "\n".join(lines)


def _head() -> str:
    system = f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    return _HEAD.format(date=date.today().isoformat(), system=system)


def _row(first: str, cells: list[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _reasons(name: str, found: Mapping[str, Any]) -> list[str]:
    """What failed at a server or was not asked, and why."""
    told = [
        f"- {each['carrier']} {each['name']}: {each['reason']} ({each['source']})"
        for each in found["checks"]
        if each["verdict"] != "passed"
    ]
    return [f"## {name}", "", *(told or ["Every check passed."]), ""]
