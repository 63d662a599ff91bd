"""The table of attacks: what must be, and what was measured in this run."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

import twisted

import echoproto

#: Every attack, in the order of the table, and what must be.
ATTACKS = {
    "half-close, 0 to 64 MB, 100 repeats": "0 bytes lost",
    "data and TLS close_notify in one segment": "all bytes back",
    "1,000 concurrent connections echo random 0 to 1 MB": "0 mismatches",
    "5,000 idle connections while 50 echo": "the 50 are served; under 3 KiB an idle connection",
    "10,000 connect-and-reset, 1,000 connect-and-vanish": "served afterwards; no growth",
    "64 descriptors, 120 clients": "alive, at most one log line a second, recovers",
    "500 slow senders and 500 never-readers": (
        "others' p99 under 2 times the quiet one; cut at deadlines"
    ),
    "garbage at PROXY and TLS listeners": "clean refusal, no traceback",
    "spoofed loop between two of our servers": "none on equal ports; bounded rate on others",
    "1,000,000 queued empty datagrams": "a TCP round trip meanwhile under 100 ms",
    "send errors of every kind": "counted, no traceback, alive",
    "24 simulated hours of mixed clients": "counts return to zero, nothing scheduled left",
    "soak, 10 minutes": "no growth in memory or descriptors",
    "log injection": "one escaped line",
}

_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"


class Figures:
    """What each attack came to."""

    def __init__(self) -> None:
        self._measured: dict[str, list[str]] = {}

    def add(self, attack: str, measured: str) -> None:
        """
        Note a figure.

        :param attack: one of :data:`ATTACKS`; one that has several figures has them in a row.
        :param measured: the figure, for people, with its unit.
        """
        if attack not in ATTACKS:
            raise LookupError(attack)
        self._measured.setdefault(attack, []).append(measured)

    def __bool__(self) -> bool:
        return bool(self._measured)

    def table(self) -> str:
        """The table, in Markdown."""
        lines = ["| attack | must be | measured |", "| --- | --- | --- |"]
        for attack, mustBe in ATTACKS.items():
            measured = "; ".join(self._measured.get(attack, ["not in this run"]))
            lines.append(f"| {attack} | {mustBe} | {measured} |")
        return "\n".join(lines) + "\n"

    def keep(self, page: Path) -> None:
        """Put the table and what it was measured on in their place in ``page``."""
        before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
        _, _, after = rest.partition(_END)
        on = (
            f"Measured {date.today().isoformat()} with echoproto {echoproto.__version__}, "
            f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
            f"{platform.system()} {platform.release()}, loopback.\n\n"
        )
        page.write_text(before + _BEGIN + on + self.table() + _END + after, encoding="utf-8")
