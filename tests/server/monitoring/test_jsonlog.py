from __future__ import annotations

import json
import sys
from io import StringIO
from math import inf
from tempfile import NamedTemporaryFile
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals
from echoproto.server.monitoring.jsonlog import JSONLines, asObject, jsonLines
from echoproto.server.monitoring.log import LogObserver
from echoproto.server.monitoring.logstream import GAP, MAX_SHARED_LINE

PEER = IPv4Address("TCP", "192.0.2.1", 40_000)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class JSONLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = StringIO()
        self.log = Logger("test", observer=JSONLines(self.out))

    def logged(self) -> dict[str, Any]:
        """Return the object on the only line."""
        [line] = self.out.getvalue().splitlines(keepends=True)
        self.assertTrue(line.endswith("\n") and line.isascii())
        return cast(dict[str, Any], json.loads(line, parse_constant=self.fail))

    def test_event(self) -> None:
        """An event is a one-line object with time, level, namespace and text."""
        JSONLines(self.out)(
            {
                "log_time": 1_700_000_000.25,
                "log_level": LogLevel.warn,
                "log_namespace": "test",
                "log_format": "{a}\nand {b}",
                "a": 1,
                "b": "ü",
            }
        )
        self.assertEqual(
            self.logged(),
            {
                "time": "2023-11-14T22:13:20.250000+00:00",
                "level": "warn",
                "namespace": "test",
                "text": "1\nand ü",
            },
        )

    def test_bareEvent(self) -> None:
        """Missing fields of an event are null."""
        self.assertEqual(asObject({}), {"time": None, "level": None, "namespace": None, "text": ""})

    def test_failure(self) -> None:
        """A failure has its traceback in a field, on the same line."""
        try:
            raise ValueError("wrong")
        except ValueError:
            self.log.failure("it broke")
        event = self.logged()
        self.assertEqual((event["level"], event["text"]), ("critical", "it broke"))
        self.assertTrue(event["failure"].startswith("Traceback"))
        self.assertTrue(event["failure"].endswith("ValueError: wrong"))

    def test_unprintableFailure(self) -> None:
        """An exception whose text fails still has a traceback."""
        try:
            raise Unprintable
        except Unprintable:
            self.log.failure("it broke")
        self.assertIn("Unprintable", self.logged()["failure"])

    def test_fields(self) -> None:
        """A named event has its own fields, which do not override the common ones."""
        self.log.info("x", event="e", number=1, none=None, yes=True, text="mine", time="mine")
        event = self.logged()
        self.assertEqual(
            (event["event"], event["number"], event["none"], event["yes"]), ("e", 1, None, True)
        )
        self.assertEqual(event["text"], "x")
        self.assertNotEqual(event["time"], "mine")

    def test_strings(self) -> None:
        """Values that JSON cannot represent become strings."""
        self.log.info(
            "x",
            event="e",
            address=PEER,
            data=b"\xff",
            seconds=inf,
            broken=Unprintable(),
            counts={CloseReason.LOST: 1, 2: {"deeper": 3}},
        )
        event = self.logged()
        self.assertEqual((event["address"], event["seconds"]), (str(PEER), "inf"))
        self.assertIn("xff", event["data"])
        self.assertIn("Unprintable", event["broken"])
        self.assertEqual(event["counts"], {"CloseReason.LOST": 1, "2": "{'deeper': 3}"})

    def test_surrogates(self) -> None:
        """Unencodable text is escaped."""
        self.log.info("{name}", event="e", name="\udcff\x7f\u2028")
        self.assertEqual(self.logged()["name"], "\udcff\x7f\u2028")

    def test_ended(self) -> None:
        """The end of a connection has its values as numbers."""
        LogObserver("echo on tcp [::]:7", self.log).connectionEnded(
            ConnectionSummary(PEER, CloseReason.LOST, 1.5, 10, 20)
        )
        event = self.logged()
        del event["time"]
        self.assertEqual(
            event,
            {
                "level": "info",
                "namespace": "test",
                "text": "echo on tcp [::]:7 from 192.0.2.1:40000 lost after 1.500 s, "
                "10 bytes in, 20 bytes out",
                "event": "ended",
                "listener": "echo on tcp [::]:7",
                "peer": "192.0.2.1:40000",
                "ending": "lost",
                "seconds": 1.5,
                "bytesReceived": 10,
                "bytesSent": 20,
            },
        )

    def test_sums(self) -> None:
        """Counts by name become an object."""
        observer = LogObserver("echo on udp 0.0.0.0:7", self.log)
        observer.report(DatagramTotals(refused={"source over its rate": 5}))
        event = self.logged()
        self.assertEqual((event["event"], event["datagrams"]), ("datagrams refused", 5))
        self.assertEqual((event["refused"], event["errors"]), ({"source over its rate": 5}, {}))

    @given(st.binary())
    def test_hostileGreeting(self, data: bytes) -> None:
        """Any greeting becomes one line that can be parsed."""
        self.setUp()
        LogObserver("greeting on tcp [::]:7", self.log).greeted(PEER, data)
        event = self.logged()
        self.assertEqual(
            event["text"], f"greeting on tcp [::]:7 from 192.0.2.1:40000 said: {event['said']}"
        )


class StandardOutputTests(SynchronousTestCase):
    def write(self, observer: ILogObserver, *texts: str) -> None:
        log = Logger("test", observer=observer)
        for text in texts:
            log.info("{text}", text=text)

    def test_standardOutput(self) -> None:
        """Lines are written to the standard output of the start, and flushed at once."""
        with NamedTemporaryFile() as file, open(file.name, "w", encoding="ascii") as stream:
            self.patch(sys, "stdout", stream)
            observer = jsonLines()
            verifyObject(ILogObserver, observer)
            self.patch(sys, "stdout", None)
            self.write(observer, "one", "ü")
            texts = [json.loads(line)["text"] for line in file]
        self.assertEqual(texts, ["one", "ü"])

    def test_none(self) -> None:
        """Without standard output nothing is written."""
        self.patch(sys, "stdout", None)
        self.write(jsonLines(), "one")

    def test_closed(self) -> None:
        """Once the stream is closed, the error is Twisted's to handle."""
        out = StringIO()
        out.close()
        self.assertRaises(ValueError, self.write, JSONLines(out), "one")

    def test_full(self) -> None:
        """While the stream is full, lines are errors; later ones are written."""
        out = FullStream()
        observer = JSONLines(out)
        self.assertRaises(OSError, self.write, observer, "one")
        out.full = False
        self.write(observer, "two")
        self.assertEqual(
            [json.loads(line)["text"] for line in out.getvalue().splitlines()], ["two"]
        )


class FullStream(StringIO):
    """A stream on a full disk, until ``full`` is cleared."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


class SharedLinesTests(SynchronousTestCase):
    def test_long(self) -> None:
        """On a shared output a long line loses the middle of its longest texts."""
        out = StringIO()
        log = Logger("test", observer=JSONLines(out, isShared=True))
        LogObserver("echo", log).greeted(PEER, b"begin" + b"\x01" * 1014 + b"the end")
        [line] = out.getvalue().splitlines(keepends=True)
        self.assertLessEqual(len(line), MAX_SHARED_LINE)
        told = json.loads(line)
        self.assertEqual((told["event"], told["peer"]), ("greeted", "192.0.2.1:40000"))
        for name in ("text", "said"):
            self.assertTrue(told[name].endswith("the end"), name)
            self.assertIn(GAP, told[name])
        self.assertTrue(told["said"].startswith("begin"))

    def test_noLongText(self) -> None:
        """A line that is long without a long text is written as it is."""
        out = StringIO()
        fields = {f"f{number}": number for number in range(1000)}
        JSONLines(out, isShared=True)({"log_format": "x", "event": "y", **fields})
        self.assertEqual(json.loads(out.getvalue())["f999"], 999)
