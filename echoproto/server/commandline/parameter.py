"""An option of the command line, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: The groups of options, in the order of ``--help`` and of the page.
LISTENERS = "Listeners"
LIMITS = "Who is served"
TIMEOUTS = "Timeouts"
TLS = "TLS"
MONITORING = "Monitoring"
FAULTS = "Faults on purpose"


@dataclass(frozen=True)
class Parameter:
    """
    An option.

    :ivar name: without the hyphens.
    :ivar group: its title in ``--help``.
    :ivar help: whole sentences.
    :ivar default: as an operator would write it; ``None`` if it has no such form.
    :ivar parse: makes the value from text; raises ``ValueError`` with one line.
    :ivar setting: the field of ``Settings``, or of ``Timeouts``, that it sets; empty if it sets
        none by itself.
    :ivar short: its letter.
    :ivar isRepeatable: whether it may be given several times.
    :ivar isFlag: whether it takes no value.
    :ivar metavar: stands for the value in ``--help``.
    """

    name: str
    group: str
    help: str
    default: str | None = None
    parse: Callable[[str], Any] = str
    setting: str = ""
    short: str | None = None
    isRepeatable: bool = False
    isFlag: bool = False
    metavar: str = "TEXT"
