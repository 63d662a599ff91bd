"""``echoproto load`` as a program, against servers on real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.latency import LatencyHistogram
from tests.loopback.command import PATIENT, runCommand, startCommand
from tests.loopback.program import PATIENCE, Program
from tests.loopback.test_workers import metric

SECOND = 1_000_000_000


class LoadTests(SynchronousTestCase):
    def loaded(self, *words: str) -> dict[str, Any]:
        ended = runCommand("load", "-o", "json", *PATIENT, *words)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return dict(json.loads(ended.stdout))

    def test_loops(self) -> None:
        """The server answers every message, in a closed loop and in an open one at its rate."""
        with Program("-p", "0") as program:
            target = f"127.0.0.1:{program.port()}"
            found = self.loaded(
                "--connections", "20", "-c", "5000", "--window", "4", "-s", "1-4096", target
            )
            self.assertEqual((found["received"], found["wrong"], found["lost"]), (5000, 0, 0))
            found = self.loaded("-c", "400", "--rate", "500", target)
            self.assertEqual((found["sent"], found["received"], found["wrong"]), (400, 400, 0))
            self.assertEqual(found["response"]["count"], 400)
            found = self.loaded("-z", "1s", "--rate", "500", "--warmup", "200ms", target)
            # A busy machine may send late, and fewer; never more.
            self.assertIn(found["received"], range(1, 501))
            self.assertEqual(found["response"]["count"], found["received"])

    def test_datagrams(self) -> None:
        """UDP works in both loops, with one process and with two."""
        with Program(
            "-p", "udp:0:interface=127.0.0.1", "--datagram-rate", "0", listeners=1
        ) as program:
            target = f"udp://127.0.0.1:{program.address('echo', 'udp')[1]}"
            for words in (
                ("-c", "5000", "--window", "4", "-s", "8-1400"),
                # As many as the receive buffer of a server that is held up has room for.
                ("-c", "200", "--rate", "400"),
                ("-c", "500", "--workers", "2"),
            ):
                found = self.loaded(*words, target)
                self.assertEqual((found["wrong"], found["duplicates"]), (0, 0))
                self.assertEqual((found["sent"], found["lost"]), (int(words[1]), 0))

    def test_workers(self) -> None:
        """Workers send exactly --count messages; none is left if one of them is killed."""
        with Program("-p", "tcp:0:interface=127.0.0.1", listeners=1) as program:
            target = f"127.0.0.1:{program.port()}"
            found = self.loaded("--workers", "2", "--connections", "5", "-c", "1001", target)
            self.assertEqual((found["sent"], found["received"]), (1001, 1001))
            self.assertEqual(found["configuration"]["connections"], 5)
            words = ["--workers", "2", "--connections", "2", "-z", "60s", target]
            with startCommand("load", *words) as running:
                while len(connections(program.port())) < 2 * len(b"ESTABLISHED"):
                    Event().wait(0.02)
                workers = children(running.pid)
                os.kill(workers[0], signal.SIGKILL)
                running.send_signal(signal.SIGINT)
                output, errors = running.communicate(timeout=PATIENCE)
            self.assertEqual(running.returncode, 2)
            killed = r"worker \d was killed by signal 9; the rest of its share is missing"
            self.assertRegex(errors, rf"^echoproto load: {killed}\n$")
            self.assertRegex(output, f"limited by the client: {killed}")
            self.assertIn("0 wrong", output)
            self.assertEqual([pid for pid in workers if os.path.exists(f"/proc/{pid}")], [])

    def test_refused(self) -> None:
        """A closed port gives one line and status 1."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        ended = runCommand("load", "-c", "10", f"127.0.0.1:{port}")
        self.assertEqual(
            (ended.returncode, ended.stderr),
            (1, f"echoproto load: tcp://127.0.0.1:{port}: refused: nothing listens there\n"),
        )

    def test_serverStops(self) -> None:
        """A server suspended for a second has a response time of a second."""
        with Program("-p", "tcp:0:interface=127.0.0.1", listeners=1) as program:
            stopped = Event()

            def stop() -> None:
                program.process.send_signal(signal.SIGSTOP)
                stopped.wait(1)
                program.process.send_signal(signal.SIGCONT)

            words = ["-o", "json", "--connections", "1", "-z", "4s", "--rate", "1000"]
            with startCommand("load", *PATIENT, *words, f"127.0.0.1:{program.port()}") as running:
                while b"ESTABLISHED" not in connections(program.port()):
                    stopped.wait(0.02)
                stopping = Thread(target=stop)
                stopping.start()
                output, _ = running.communicate(timeout=PATIENCE)
                stopping.join()
        found = json.loads(output)
        self.assertEqual((found["lost"], found["wrong"]), (0, 0))
        self.assertGreater(found["response"]["p99_ns"], 0.8 * SECOND)
        self.assertGreater(found["response"]["max_ns"], 0.9 * SECOND)


def children(process: int) -> list[int]:
    """Return its child processes (proc_pid_task_children(5))."""
    with open(f"/proc/{process}/task/{process}/children") as listed:
        return [int(pid) for pid in listed.read().split()]


def connections(port: int) -> bytes:
    """Return ``ESTABLISHED`` for each connection to a port (01 in proc_net_tcp(5))."""
    with open("/proc/net/tcp", "rb") as listed:
        found = [line.split() for line in listed.readlines()[1:]]
    ours = f":{port:04X}".encode()
    return b"".join(b"ESTABLISHED" for line in found if line[1].endswith(ours) and line[3] == b"01")


class SharedLoadTests(SynchronousTestCase):
    def test_threeMachines(self) -> None:
        """Loads with one start time begin together, and their shares add up to the whole."""
        with Program("-p", "0", "--status", "0", listeners=5) as program:
            begin = time.time() + 6
            target = f"127.0.0.1:{program.port()}"
            words = (
                *PATIENT,
                "--connections",
                "10",
                "-c",
                "1000",
                "--rate",
                "500",
                "-o",
                "json",
                "--start-at",
                f"@{begin}",
            )
            loads = [
                startCommand("load", *words, "--share", f"{index}/3", target) for index in range(3)
            ]
            texts = [process.communicate(timeout=PATIENCE)[0] for process in loads]
            served = metric(program, "echoproto_stream_received_bytes_total")
        self.assertEqual([process.returncode for process in loads], [0, 0, 0])
        results = [json.loads(text) for text in texts]
        for name, whole in (("connected", 10), ("sent", 1000), ("received", 1000)):
            self.assertEqual(sum(result[name] for result in results), whole)
        self.assertEqual(served, 64 * 1000)
        for result in results:
            began = datetime.fromisoformat(result["origin"]["began"]).timestamp()
            # The clock of the result has milliseconds.
            self.assertTrue(-0.002 < began - begin < PATIENCE, began - begin)
        # Response times, bin by bin.
        merged = LatencyHistogram()
        for result in results:
            merged.merge(LatencyHistogram.restored(result["response"]))
        self.assertEqual(merged.count, 1000)
        with TemporaryDirectory() as folder:
            files = [os.path.join(folder, f"{index}.json") for index in range(3)]
            for path, text in zip(files, texts, strict=True):
                Path(path).write_text(text)
            report = runCommand("report", "--merge", *files, "-o", "json")
        [whole] = json.loads(report.stdout)["results"]
        self.assertEqual((whole["sent"], whole["received"]), (1000, 1000))
        self.assertEqual(whole["times"]["histogram"], merged.state()["histogram"])
