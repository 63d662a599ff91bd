"""
Where, when and how a result was measured: the part that the documents of all measurements have.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from echoproto import __version__
from echoproto.measure.intervals import Count
from echoproto.report.documents.times import Time

#: A value of an option. Several values are a list.
OptionValue = bool | int | float | str | list[int | str] | None


class Origin(Struct, frozen=True, kw_only=True):
    """
    The origin of a result.

    Both clocks are stored: the wall clock aligns the results of several hosts; the monotonic clock,
    whose zero is arbitrary, does so on one host even if the wall clock is set meanwhile.
    """

    host: Annotated[str, Meta(description="Name of the host that measured.")]
    echoproto: Annotated[str, Meta(description="Version of echoproto there.")]
    python: Annotated[str, Meta(description="Version of Python there.")]
    began: Time
    ended: Time
    began_ns: Annotated[Count, Meta(description="The same by the host's monotonic clock.")]
    ended_ns: Count
    options: Annotated[
        dict[str, OptionValue],
        Meta(description="All options in effect, by their long names; times in nanoseconds."),
    ] = {}
    labels: Annotated[dict[str, str], Meta(description="The labels of --label.")] = {}

    def __post_init__(self) -> None:
        if datetime.fromisoformat(self.began).utcoffset() is None:
            raise ValueError("time without a time zone")

    @property
    def beganAt(self) -> int:
        """When it began, in nanoseconds of the wall clock since 1970."""
        return round(datetime.fromisoformat(self.began).timestamp() * 1_000_000) * 1000


def originOf(
    beganAt: int,
    endedAt: int,
    ended: datetime,
    options: Mapping[str, OptionValue] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Origin:
    """
    The origin of a result of this host and process.

    :param beganAt: when the measurement began, in nanoseconds of the monotonic clock.
    :param endedAt: when it ended, likewise.
    :param ended: the same by the wall clock, from which its beginning is computed.
    """
    began = ended - timedelta(microseconds=(endedAt - beganAt) / 1000)
    return Origin(
        host=socket.gethostname(),
        echoproto=__version__,
        python=platform.python_version(),
        began=began.isoformat(timespec="milliseconds"),
        ended=ended.isoformat(timespec="milliseconds"),
        began_ns=beganAt,
        ended_ns=endedAt,
        options=dict(options or {}),
        labels=dict(labels or {}),
    )
