"""
Missing shares of a load that several machines have sent (``--share``), found when they are merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from echoproto.report.documents.origin import Origin
from echoproto.report.result import StoredResult

#: The most shares that ``--share`` divides a load into.
MAX_SHARES = 999_999

#: Of more missing shares than this, only the first are named.
MAX_SHOWN = 3

_PREFIX = "missing of the shares of --share: "


def otherRemarks(result: StoredResult) -> list[str]:
    """The remarks on a result, but not the one on missing shares, which may be there later."""
    return [remark for remark in result.remarks if not remark.startswith(_PREFIX)]


def missingShares(results: Sequence[StoredResult]) -> list[str]:
    """A line about shares of a load that are there less often than others, as if one was lost."""
    shares = [
        share
        for result in results
        for origin in result.origins
        if (share := _shareOf(origin)) is not None
    ]
    found, missing = Counter(shares), []
    for of in dict.fromkeys(of for _, of in shares):
        most = max(found[share] for share in found if share[1] == of)
        names = (f"{index}/{of}" for index in range(of) if found[index, of] < most)
        missing += list(islice(names, MAX_SHOWN + 1))
    if len(missing) > MAX_SHOWN:
        missing[MAX_SHOWN:] = ["..."]
    return [f"{_PREFIX}{', '.join(missing)}"] if missing else []


def _shareOf(origin: Origin) -> tuple[int, int] | None:
    """The value of ``--share``; ``None`` without one, or if the file has another value."""
    match origin.options.get("share"):
        case [int(index), int(of)] if 0 <= index < of <= MAX_SHARES:
            return index, of
    return None
