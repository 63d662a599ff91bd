"""The order of the tests, where it matters, and the folder that they run in."""

from __future__ import annotations

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
    Run test cases before test functions: pytest-twisted starts its reactor at the first function,
    and a ``trial`` test case that uses the reactor would then find it running.
    """
    yield
    items.sort(key=_isFunction)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    One for all tests, with a short name: the path of a UNIX socket in it has 108 bytes at most
    (unix(7)).
    """
    return tmp_path_factory.mktemp("t")


@pytest.fixture(autouse=True)
def _inFolder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``mktemp`` of a test case makes is left there, and not in the checkout."""
    monkeypatch.chdir(folder)


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option for ``tests/hostile``; here, as only this file is read before the options are."""
    parser.addoption(
        "--keep-figures", action="store_true", help="write docs/reliability.md from this run"
    )
