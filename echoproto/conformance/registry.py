"""
The decorator that makes a function a check.

A check is a coroutine function that takes a tester (:class:`~.streamclient.StreamTester` or
:class:`~.udpclient.DatagramTester`) and returns a remark or ``None``, or raises ``Failed`` or
``Skipped``. Its docstring is its description.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import TypeVar

from echoproto.conformance.results import Check, CheckFunction

TCP, UDP = "tcp", "udp"

#: Default sources of the checks on a carrier.
_SOURCES = {TCP: "RFC 862, TCP", UDP: "RFC 862, UDP"}

#: The checks of the imported modules, in order of definition.
registered: list[Check] = []


def _docstringInSource(function: Callable[..., object]) -> str:
    """The docstring of a function, which ``python -OO`` does not keep."""
    [definition] = ast.parse(inspect.getsource(function)).body
    assert isinstance(definition, ast.AsyncFunctionDef)
    return ast.get_docstring(definition) or ""


F = TypeVar("F", bound=CheckFunction)


def check(
    name: str, carrier: str, source: str = "", *, risky: bool = False, last: bool = False
) -> Callable[[F], F]:
    """
    Register a check.

    :param name: a slug that states the property, unique on its carrier.
    :param carrier: :data:`TCP`, for any stream, or :data:`UDP`.
    :param source: the normative source; RFC 862 by default.
    :param risky: whether it could start a loop or a flood.
    :param last: whether a server may end because of it, so that it runs after the others.
    """

    def register(function: F) -> F:
        description = " ".join((function.__doc__ or _docstringInSource(function)).split())
        registered.append(
            Check(carrier, name, description, source or _SOURCES[carrier], function, risky, last)
        )
        return function

    return register
