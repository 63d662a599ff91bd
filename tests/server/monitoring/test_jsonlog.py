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

PEER = IPv4Address("TCP", "192.0.2.1", 40_000)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class JSONLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = StringIO()
        self.log = Logger("test", observer=JSONLines(self.out))

    def told(self) -> dict[str, Any]:
        """The object on the only line."""
        [line] = self.out.getvalue().splitlines(keepends=True)
        self.assertTrue(line.endswith("\n") and line.isascii())
        return cast(dict[str, Any], json.loads(line, parse_constant=self.fail))

    def test_event(self) -> None:
        """An event is an object on one line: when, how grave, whose, and the text."""
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
            self.told(),
            {
                "time": "2023-11-14T22:13:20.250000+00:00",
                "level": "warn",
                "namespace": "test",
                "text": "1\nand ü",
            },
        )

    def test_bareEvent(self) -> None:
        """What an event lacks is null."""
        self.assertEqual(asObject({}), {"time": None, "level": None, "namespace": None, "text": ""})

    def test_failure(self) -> None:
        """A failure has its traceback beside the text, on the same line."""
        try:
            raise ValueError("wrong")
        except ValueError:
            self.log.failure("it broke")
        told = self.told()
        self.assertEqual((told["level"], told["text"]), ("critical", "it broke"))
        self.assertTrue(told["failure"].startswith("Traceback"))
        self.assertTrue(told["failure"].endswith("ValueError: wrong"))

    def test_unprintableFailure(self) -> None:
        """An error that has no text has a traceback all the same."""
        try:
            raise Unprintable
        except Unprintable:
            self.log.failure("it broke")
        self.assertIn("Unprintable", self.told()["failure"])

    def test_fields(self) -> None:
        """An event that names itself has its fields, and none stands for a field that all have."""
        self.log.info("x", event="e", number=1, none=None, yes=True, text="mine", time="mine")
        told = self.told()
        self.assertEqual(
            (told["event"], told["number"], told["none"], told["yes"]), ("e", 1, None, True)
        )
        self.assertEqual(told["text"], "x")
        self.assertNotEqual(told["time"], "mine")

    def test_strings(self) -> None:
        """What JSON lacks becomes a string."""
        self.log.info(
            "x",
            event="e",
            address=PEER,
            data=b"\xff",
            seconds=inf,
            broken=Unprintable(),
            counts={CloseReason.LOST: 1, 2: {"deeper": 3}},
        )
        told = self.told()
        self.assertEqual((told["address"], told["seconds"]), (str(PEER), "inf"))
        self.assertIn("xff", told["data"])
        self.assertIn("Unprintable", told["broken"])
        self.assertEqual(told["counts"], {"CloseReason.LOST": 1, "2": "{'deeper': 3}"})

    def test_surrogates(self) -> None:
        """Text that no encoding has is written as it is escaped."""
        self.log.info("{name}", event="e", name="\udcff\x7f\u2028")
        self.assertEqual(self.told()["name"], "\udcff\x7f\u2028")

    def test_ended(self) -> None:
        """The end of a connection has its figures as numbers."""
        LogObserver("echo on tcp [::]:7", self.log).connectionEnded(
            ConnectionSummary(PEER, CloseReason.LOST, 1.5, 10, 20)
        )
        told = self.told()
        del told["time"]
        self.assertEqual(
            told,
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
        """Counts by name are an object."""
        observer = LogObserver("echo on udp 0.0.0.0:7", self.log)
        observer.report(DatagramTotals(refused={"source over its rate": 5}))
        told = self.told()
        self.assertEqual((told["event"], told["datagrams"]), ("datagrams refused", 5))
        self.assertEqual((told["refused"], told["errors"]), ({"source over its rate": 5}, {}))

    @given(st.binary())
    def test_hostileGreeting(self, said: bytes) -> None:
        """Whatever a client says, its greeting is one line that can be read back."""
        self.setUp()
        LogObserver("greeting on tcp [::]:7", self.log).greeted(PEER, said)
        told = self.told()
        self.assertEqual(
            told["text"], f"greeting on tcp [::]:7 from 192.0.2.1:40000 said: {told['said']}"
        )


class StandardOutputTests(SynchronousTestCase):
    def write(self, observer: ILogObserver, *texts: str) -> None:
        log = Logger("test", observer=observer)
        for text in texts:
            log.info("{text}", text=text)

    def test_standardOutput(self) -> None:
        """It writes to what standard output is when it is made, and each line at once."""
        with NamedTemporaryFile() as file, open(file.name, "w", encoding="ascii") as stream:
            self.patch(sys, "stdout", stream)
            observer = jsonLines()
            verifyObject(ILogObserver, observer)
            self.patch(sys, "stdout", None)
            self.write(observer, "one", "ü")
            texts = [json.loads(line)["text"] for line in file]
        self.assertEqual(texts, ["one", "ü"])

    def test_none(self) -> None:
        """A program without standard output writes nothing."""
        self.patch(sys, "stdout", None)
        self.write(jsonLines(), "one")

    def test_closed(self) -> None:
        """Lines are lost, and nothing is raised, once the stream is closed."""
        out = StringIO()
        out.close()
        self.write(JSONLines(out), "one", "two")

    def test_full(self) -> None:
        """
        Lines are lost, and nothing is raised, while the stream takes none; it goes on after that.
        """
        out = FullStream()
        observer = JSONLines(out)
        self.write(observer, "one")
        out.full = False
        self.write(observer, "two")
        self.assertEqual(
            [json.loads(line)["text"] for line in out.getvalue().splitlines()], ["two"]
        )


class FullStream(StringIO):
    """A stream on a disk that is full, until it is told otherwise."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)
