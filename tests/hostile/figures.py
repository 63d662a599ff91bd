"""The table of attacks: requirements, and the results of this run."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

import twisted

import echoproto

#: All attacks in the order of the table, and their requirements.
ATTACKS = {
    "half-close, 0 to 64 MB, 100 repeats": "0 bytes lost",
    "data and TLS close_notify in one segment": "all bytes echoed",
    "1,000 concurrent connections echo random 0 to 1 MB": "0 mismatches",
    "5,000 idle connections while 50 echo": "50 served; less than 3 KiB per idle connection",
    "10,000 connect-and-reset, 1,000 connect-and-vanish": "served afterwards; no growth",
    "64 descriptors, 120 clients": "alive, at most one log line a second, recovers",
    "500 slow senders and 500 never-readers": (
        "p99 of other clients less than doubles; never-readers aborted at timeout"
    ),
    "garbage at PROXY and TLS listeners": "refused, no traceback",
    "spoofed loop between two echoproto servers": "equal ports: none; others: bounded rate",
    "1,000,000 queued empty datagrams": "TCP round trips under 100 ms meanwhile",
    "send errors of every kind": "counted, no traceback, alive",
    "24 simulated hours of mixed clients": "all counts return to zero, nothing scheduled",
    "soak, 10 minutes": "no growth in memory or descriptors",
    "log injection": "one escaped line",
}

_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"


class Figures:
    """The results of the attacks."""

    def __init__(self) -> None:
        self._measured: dict[str, list[str]] = {}

    def add(self, attack: str, measured: str) -> None:
        """
        Add a result.

        :param attack: a key of :data:`ATTACKS`; several results of one attack share a row.
        :param measured: the result as text, with units.
        """
        if attack not in ATTACKS:
            raise LookupError(attack)
        self._measured.setdefault(attack, []).append(measured)

    def __bool__(self) -> bool:
        return bool(self._measured)

    def table(self) -> str:
        """The table, in Markdown."""
        lines = ["| attack | required | measured |", "| --- | --- | --- |"]
        for attack, required in ATTACKS.items():
            measured = "; ".join(self._measured.get(attack, ["not measured in this run"]))
            lines.append(f"| {attack} | {required} | {measured} |")
        return "\n".join(lines) + "\n"

    def keep(self, page: Path) -> None:
        """Replace the table and its heading in ``page``."""
        before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
        _, _, after = rest.partition(_END)
        on = (
            f"Measured {date.today().isoformat()} with echoproto {echoproto.__version__}, "
            f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
            f"{platform.system()} {platform.release()}, loopback.\n\n"
        )
        page.write_text(before + _BEGIN + on + self.table() + _END + after, encoding="utf-8")
