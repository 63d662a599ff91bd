"""Print the table of tests with several hosts at the end of a run."""

from __future__ import annotations

import pytest

from tests.hostile.figures import Figures
from tests.loopback.program import ROOT

#: All rows of the table, and their requirements.
REQUIRED = {
    "3 hosts behind HAProxy, each restarted": (
        "lame duck 2 s; new connections: all served; long ones: at most one exchange each per "
        "restart; the aborted connections in the log are those that the clients lost"
    ),
    "3 hosts behind nftables (UDP), restarted three times": (
        "lame duck 2 s; at most 2 of 15,000 lost, besides those dropped by full queues"
    ),
    "`ping` through a wire": "loss, duplicates and reordering exactly those of the wire",
    "`load` over UDP through a wire": "loss and duplicates exactly those of the wire",
    "`verify` through a wire": "64 MiB, every byte",
    "one load from three hosts": (
        "counts equal the server's bytes; the histogram bin by bin, and each second, are sums; "
        "begun within 50 ms of the time and of each other, or reported late"
    ),
    "a worker killed under load, with Prometheus": (
        "rates right within 1 %; the restart is counted; no counter goes back"
    ),
}

_FIGURES = Figures("test", REQUIRED, "figures of hosts", "network namespaces")


@pytest.fixture
def figures() -> Figures:
    """The table of this run."""
    return _FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to the page if requested."""
    if _FIGURES:
        terminalreporter.section("several hosts")
        terminalreporter.write(_FIGURES.table())
        if terminalreporter.config.getoption("--keep-figures"):
            _FIGURES.keep(ROOT / "docs" / "reliability.md")
