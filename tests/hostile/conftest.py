"""Print the table of attacks at the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.figures import ATTACKS, Figures
from tests.loopback.program import ROOT

_FIGURES = Figures("attack", ATTACKS, "figures", "loopback")


@pytest.fixture
def figures() -> Figures:
    """The table of this run."""
    return _FIGURES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder as hostile."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.hostile)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to the page if requested."""
    if _FIGURES:
        terminalreporter.section("attacks")
        terminalreporter.write(_FIGURES.table())
        if terminalreporter.config.getoption("--keep-figures"):
            _FIGURES.keep(ROOT / "docs" / "reliability.md")
