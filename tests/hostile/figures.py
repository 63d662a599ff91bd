"""Tables of ``docs/reliability.md``: requirements, and the results of this run."""

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


class Figures:
    """
    The results of a table.

    :param subject: the name of a row, such as ``attack``.
    :param required: the rows in their order, and their requirements.
    :param place: the comment in the page after which the table stands, up to the end of it.
    :param network: the network of the measurements.
    """

    def __init__(self, subject: str, required: dict[str, str], place: str, network: str) -> None:
        self._subject = subject
        self._required = required
        self._begin, self._end = f"<!-- {place} -->\n", f"<!-- end of {place} -->\n"
        self._network = network
        self._measured: dict[str, list[str]] = {}

    def add(self, row: str, measured: str) -> None:
        """
        Add a result.

        :param row: a key of the requirements; several results share a row.
        :param measured: the result as text, with units.
        """
        if row not in self._required:
            raise LookupError(row)
        self._measured.setdefault(row, []).append(measured)

    def __bool__(self) -> bool:
        return bool(self._measured)

    def table(self) -> str:
        """The table, in Markdown."""
        lines = [f"| {self._subject} | required | measured |", "| --- | --- | --- |"]
        for row, required in self._required.items():
            measured = "; ".join(self._measured.get(row, ["not measured in this run"]))
            lines.append(f"| {row} | {required} | {measured} |")
        return "\n".join(lines) + "\n"

    def keep(self, page: Path) -> None:
        """Replace the table and its heading in ``page``."""
        before, _, rest = page.read_text(encoding="utf-8").partition(self._begin)
        _, _, after = rest.partition(self._end)
        on = (
            f"Measured {date.today().isoformat()} with echoproto {echoproto.__version__}, "
            f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
            f"{platform.system()} {platform.release()}, {self._network}.\n\n"
        )
        page.write_text(
            before + self._begin + on + self.table() + self._end + after, encoding="utf-8"
        )
