"""The order of the tests, their end by Ctrl-C, and what all of them keep: the folder, signals."""

from __future__ import annotations

import signal
import unittest
from collections.abc import Generator
from pathlib import Path

import pytest


def _isFunction(item: pytest.Item) -> bool:
    cls = getattr(item, "cls", None)
    return not (isinstance(cls, type) and issubclass(cls, unittest.TestCase))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """
    Run test cases before test functions.

    pytest-twisted starts its reactor at the first function, and a ``trial`` test case that uses the
    reactor would find it running.
    """
    yield
    items.sort(key=_isFunction)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """End the run by Ctrl-C, which ``trial`` takes for the failure of one test case."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(KeyboardInterrupt):
        item.session.shouldstop = "Ctrl-C"
    return report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder for all tests.

    Its name is short, because paths of UNIX sockets are limited to 108 bytes (unix(7)).
    """
    return tmp_path_factory.mktemp("t")


@pytest.fixture(autouse=True)
def _inFolder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run tests in that folder, so that ``mktemp`` leaves nothing in the checkout."""
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def _signalsStayHandled() -> Generator[None, None, None]:
    """No test leaves a signal ignored: the programs that later tests start would ignore it, too."""
    before = _ignoredSignals()
    yield
    assert _ignoredSignals() == before


def _ignoredSignals() -> set[int]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    return {number for number in numbers if signal.getsignal(number) == signal.SIG_IGN}


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option for ``tests/hostile``; only this file is loaded before options are parsed."""
    parser.addoption(
        "--keep-figures", action="store_true", help="write docs/reliability.md from this run"
    )
