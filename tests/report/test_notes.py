from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.notes import (
    descriptionNotes,
    differenceNotes,
    differentOptions,
    optionsNote,
    resultNotes,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf, sampleOrigin, storedResult


class NotesTests(SynchronousTestCase):
    def test_options(self) -> None:
        """Options that differ are named with their values, but not those that one side lacks."""
        results = [
            storedResult(options={"size_bytes": size, "count": 5, "rate": None, **more})
            for size, more in ((64, {"arrivals": "fixed"}), (16_000, {}), (64, {}))
        ]
        self.assertEqual(differentOptions(results), ["size_bytes"])
        self.assertEqual(optionsNote(results), ["different options: size_bytes (64, 16000)"])
        self.assertEqual(optionsNote(results[:1]), [])
        many = [storedResult(options={"size_bytes": size}) for size in range(9)]
        self.assertEqual(optionsNote(many), ["different options: size_bytes (0, 1, 2, 3, 4, ...)"])

    def test_results(self) -> None:
        """A result has its client's limits, the most frequent errors, and its remarks."""
        result = storedResult(
            limits=("it was busy",), reasons={"reset": 1, "refused": 3}, remarks=("unlike",)
        )
        notes = ["limited by the client: it was busy", "3 times: refused", "1 time: reset"]
        notes.append("unlike")
        self.assertEqual(resultNotes([result]), [f"udp://lab1:7: {note}" for note in notes])
        self.assertEqual(
            resultNotes([storedResult(), result]), [f"udp://lab1:7 (a.json): {n}" for n in notes]
        )

    def test_otherTimes(self) -> None:
        """Service times beside response times have a line."""
        (note,) = resultNotes([storedResult(1, otherTimes={"service": histogramOf(1, 3)})])
        self.assertTrue(
            note.startswith("udp://lab1:7: service min/p50/p90/p95/p99/p99.9/max = 1.000")
        )

    def test_directions(self) -> None:
        """Losses by direction have a line, and so have the times of the server."""
        counts = {"lost_up": 1, "lost_down": 0}
        result = storedResult(1, counts=counts, otherTimes={"server_time": histogramOf(1)})
        lost, time = resultNotes([result])
        self.assertEqual(lost, "udp://lab1:7: direction: 1 lost to the server, 0 from the server")
        self.assertIn("server time min/p50", time)
        result = storedResult(1, sent=11, counts={**counts, "lost_unsent": 1})
        self.assertIn(", 1 not sent by the server", resultNotes([result])[0])
        self.assertEqual(resultNotes([storedResult(sent=9, counts=counts)]), [])

    def test_differences(self) -> None:
        """Different options, hosts, versions and rates of two results have a line each."""
        a = storedResult(1, origins=(sampleOrigin("lab1"),), options={"size_bytes": 64})
        b = storedResult(
            1,
            origins=(replace(sampleOrigin("lab2"), python="2.7"),),
            options={"size_bytes": 100},
            rate=9.0,
        )
        lines = differenceNotes([a, b])
        options, hosts, versions, rates = lines
        self.assertEqual(options, "different options: size_bytes (64, 100)")
        self.assertEqual(hosts, "different hosts: lab1 and lab2")
        self.assertTrue(versions.endswith("on Python 2.7"), versions)
        self.assertEqual(rates, "different rates: 5.0/s and 10.0/s")
        self.assertEqual(differenceNotes([a, a]), [])
        self.assertEqual(differenceNotes([a, storedResult(1)]), [])

    def test_rates(self) -> None:
        """
        Rates differ if exchanges are sent at others: not because some are lost, nor because a ping
        waits for the last reply; without a reply the rate is unknown.
        """
        options = {"interval_ns": SECOND // 50, "adaptive": False}
        steady = storedResult(1, rate=50.1, options=options)
        for rate in (41.0, 0.0):
            other = storedResult(1, rate=rate, options=options)
            self.assertEqual(differenceNotes([steady, other]), [])
        self.assertEqual(differenceNotes([storedResult(1), storedResult(received=0, rate=0.0)]), [])
        lossy = storedResult(1, received=5, rate=2.5)
        self.assertEqual(differenceNotes([storedResult(1), lossy]), [])
        adaptive = storedResult(1, rate=90.0, options={**options, "adaptive": True})
        merged = storedResult(1, parts=("a.json", "b.json"), rate=90.0, options=options)
        for other in (adaptive, merged):
            self.assertIn("different rates: 50.0/s and 100.0/s", differenceNotes([steady, other]))

    def test_merged(self) -> None:
        """
        The files of a merged result are named, each with the labels that not all have; the options
        are those of each run.
        """
        origins = tuple(sampleOrigin("lab", site="roof", rack=rack) for rack in ("1", "2"))
        options = {"rate": 150.0, "connections": 5}
        found = storedResult(1, parts=("a.json", "b.json"), origins=origins, options=options)
        (line,) = descriptionNotes([found])
        self.assertIn("; each run: rate 150, connections 5; ", line)
        self.assertIn("; site=roof; merged of a.json rack=1, b.json rack=2", line)
        (line,) = descriptionNotes([storedResult(1, parts=("a.json",) * 2 + ("b.json",))])
        self.assertEqual(line, "udp://lab1:7: merged of a.json, b.json")
        (line,) = descriptionNotes([storedResult(1, parts=tuple(map(str, range(22))))])
        self.assertTrue(line.endswith(" 19 and 2 more"), line)

    def test_descriptions(self) -> None:
        """A result is described by its start, hosts, versions, options and labels, if known."""
        options = {"duration_ns": SECOND, "size_bytes": 64, "rate": 5.0, "adaptive": True}
        origins = tuple(sampleOrigin(f"lab{number}", site="roof") for number in range(7))
        found = storedResult(
            1,
            origins=origins,
            started="2026-01-01",
            options={**options, "count": None, "reconnect": False, "arrivals": "fixed"},
        )
        (line,) = descriptionNotes([found])
        when, hosts, versions, shown, labels = line.removeprefix("udp://lab1:7: ").split("; ")
        self.assertEqual((when, labels), ("2026-01-01", "site=roof"))
        self.assertEqual(hosts, "by lab0, lab1, lab2, lab3, lab4 and 2 more")
        self.assertTrue(versions.startswith("echoproto "))
        self.assertEqual(shown, "duration 1 s, size 64 B, rate 5, adaptive, arrivals fixed")
        self.assertEqual(
            descriptionNotes([storedResult(1), storedResult(1, started="2026")]),
            ["udp://lab1:7 (a.json): 2026"],
        )
