from __future__ import annotations

import platform
import socket
from datetime import datetime, timezone

from msgspec import ValidationError, convert, to_builtins
from twisted.trial.unittest import SynchronousTestCase

from echoproto import __version__
from echoproto.report.documents.origin import Origin, originOf
from echoproto.text.units import SECOND


class OriginTests(SynchronousTestCase):
    def test_originOf(self) -> None:
        """An origin has the host, the versions, both clocks, the options and the labels."""
        ended = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
        origin = originOf(SECOND, 3 * SECOND // 2, ended, {"rate": 5.0}, {"site": "roof"})
        self.assertEqual(
            origin,
            Origin(
                host=socket.gethostname(),
                echoproto=__version__,
                python=platform.python_version(),
                began="2026-01-02T03:04:04.500+00:00",
                ended="2026-01-02T03:04:05.000+00:00",
                began_ns=SECOND,
                ended_ns=3 * SECOND // 2,
                options={"rate": 5.0},
                labels={"site": "roof"},
            ),
        )

    def test_beganAt(self) -> None:
        """The beginning is a time with a time zone, and has its nanoseconds since 1970."""
        ended = datetime(1970, 1, 1, 0, 0, 5, 250_000, tzinfo=timezone.utc)
        origin = originOf(0, SECOND, ended)
        self.assertEqual(origin.beganAt, 4_250_000_000)
        for text in ("yesterday", "2026-01-02T03:04:05"):
            with self.assertRaises(ValidationError):
                convert({**to_builtins(origin), "began": text}, Origin)
