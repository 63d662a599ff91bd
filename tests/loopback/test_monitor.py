"""``echoproto monitor`` as a program; a browser opens its page."""

from __future__ import annotations

import re
import signal
import sys
import time
from pathlib import Path
from unittest import SkipTest
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import PATIENCE, Program
from tests.loopback.test_report import BROWSER, browse

FILE = """
interval = "20ms"
wait = "500ms"
[[target]]
url = ["udp://127.0.0.1:{port}", "127.0.0.1:{port}", "tcp://127.0.0.1:9"]
labels = {{ site = "lab" }}
"""


class MonitorTests(SynchronousTestCase):
    def setUp(self) -> None:
        server = Program("-p", "0", listeners=4)
        self.addCleanup(server.stop)
        self.path = Path(self.mktemp()).absolute()
        self.path.write_text(FILE.format(port=server.port()))
        self.server = server
        words = ("--status", "tcp:0:interface=127.0.0.1", "--web", "--probe", str(self.path))
        self.program = Program(
            command=[sys.executable, "-m", "echoproto", "monitor", *words], listeners=1
        )
        self.addCleanup(self.program.stop)
        self.url = f"http://127.0.0.1:{self.program.port('status')}"

    def fetch(self, path: str) -> str:
        with urlopen(self.url + path, timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
        return text

    def values(self, name: str) -> dict[str, float]:
        """The values of a metric, by target."""
        found = re.findall(
            rf'^{name}{{.*target="(.*?)".*}} (.*)$', self.fetch("/metrics"), re.MULTILINE
        )
        return {target: float(value) for target, value in found}

    def until(self, name: str, count: float) -> dict[str, float]:
        """Wait until a metric of all targets has at least a value."""
        end = time.monotonic() + PATIENCE
        while min(found := self.values(name).values(), default=0) < count:
            self.assertLess(time.monotonic(), end, found)
        return self.values(name)

    def test_life(self) -> None:
        """Targets are probed and counted; SIGHUP reads the file again; SIGTERM ends it."""
        self.until("echoproto_monitor_sent_total", 50)
        lost = self.values("echoproto_monitor_lost_total")
        port = self.server.port()
        mine = [f"{carrier}://127.0.0.1:{port}" for carrier in ("udp", "tcp")]
        self.assertGreater(lost["tcp://127.0.0.1:9"], 0)
        self.assertEqual([lost[target] for target in mine], [0, 0])
        self.path.write_text(f'[[target]]\nurl = "udp://127.0.0.1:{port}"\nlabels = {{ a = "b" }}')
        self.program.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while len(self.values("echoproto_monitor_sent_total")) != 1:
            self.assertLess(time.monotonic(), end)
        page = self.fetch(f"/probe?target=udp://127.0.0.1:{port}&count=2")
        self.assertIn("\nprobe_success 1.0\n", page)
        self.assertEqual(self.program.stop(), 0)

    def test_page(self) -> None:
        """In a browser the page has the state, and a chart with a size, of every target."""
        if BROWSER is None:
            raise SkipTest("there is no chromium")
        self.until("echoproto_monitor_sent_total", 50)
        for width in (1200, 500):
            shown = browse(
                f"{self.url}/",
                f"--window-size={width},900",
                "--virtual-time-budget=3000",
                "--dump-dom",
            )
            self.assertNotIn("CONSOLE", shown.stderr)
            body = shown.stdout
            self.assertIn("3 targets, 1 down", body)
            self.assertEqual(
                re.findall(r'<td class="(up|down|waiting)">', body), ["down", "up", "up"]
            )
            self.assertEqual(body.count("<svg "), 3)
            self.assertIn("site=lab, refused: nothing listens there", body)
