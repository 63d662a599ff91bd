"""``echoproto report`` as a program, of what the other programs have measured; its page is opened by a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import PATIENCE, Program, environment

BROWSER = shutil.which("chromium")

#: Without a screen, without a sandbox that root could not have, and without a network that it asks for by itself.
ALONE = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)

#: Seconds until a browser must have shown a page; it starts slowly on a machine that is busy.
SLOWLY = 60

#: What a page shows, as its browser knows it: the sizes of pictures and tables, and how wide all of it is.
SIZES = """<script>
const sizes = (name) => [...document.querySelectorAll(name)].map((each) => {
  const box = each.getBoundingClientRect();
  return [box.width, box.height];
});
document.body.dataset.sizes = JSON.stringify({
  pictures: sizes("svg"), shapes: sizes("svg path").length, tables: sizes("table"),
  width: document.documentElement.scrollWidth, screen: window.innerWidth, title: document.title,
});
</script>"""


def echoproto(*words: str, **named: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "echoproto", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **named,
    )


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Have a browser show a page. It is ended with all that it has started."""
    with (
        tempfile.TemporaryDirectory() as profile,
        subprocess.Popen(
            [
                BROWSER or "",
                *ALONE,
                f"--user-data-dir={profile}",
                *options,
                page.resolve().as_uri(),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running,
    ):
        try:
            said, errors = running.communicate(timeout=SLOWLY)
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(running.args, running.returncode, said, errors)


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def well(self, *words: str) -> str:
        ended = echoproto(*words, cwd=self.folder)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return ended.stdout

    def measure(self) -> None:
        """Files of each command that measures."""
        with Program("-p", "0") as program:
            here = f"127.0.0.1:{program.port()}"
            probes = ("ping", "-c", "100", "-i", "1ms", f"udp://{here}", here)
            self.well(*probes, "-o", "json", "--out", "ping.json")
            self.well(*probes, "-o", "ndjson", "--out", "ping.ndjson")
            self.well("load", "-c", "1000", here, "-o", "json", "--out", "load.json")
            self.well("verify", "--bytes", "1MiB", here, "-o", "json", "--out", "verify.json")

    def test_everything(self) -> None:
        """What was measured is read, merged, compared and written, and read again."""
        self.measure()
        files = ("ping.json", "ping.ndjson", "load.json", "verify.json")
        header, *rows = self.well("report", *files).splitlines()
        self.assertEqual((header.split()[0], len(rows)), ("target", 6))
        merged = ("--merge", "-o", "json", "--out", "all.json")
        self.well("report", *merged, "ping.json", "ping.ndjson")
        found = json.loads((self.folder / "all.json").read_text())
        (result,) = found["results"]
        self.assertEqual((result["sent"], result["received"], result["times"]["count"]), (400,) * 3)
        self.assertIn(" 400 ", self.well("report", "all.json"))
        self.assertIn("p99.9", self.well("report", "--compare", "ping.json", "ping.ndjson"))

    def test_input(self) -> None:
        """A measurement may come from a pipe; an end of it is told."""
        for given, says in (("", "it is empty"), ('{"format":', "was cut")):
            ended = echoproto("report", "-", input=given)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""))
            self.assertRegex(ended.stderr, f"^echoproto report: standard input: .*{says}.*\n$")

    def test_page(self) -> None:
        """A browser shows the page, on a desk and on a phone: all pictures have a size, nothing is missing, nothing is wider than the screen."""
        if BROWSER is None:
            raise SkipTest("there is no chromium")
        self.measure()
        names = ("ping.json", "ping.ndjson", "load.json")
        # The first time that matplotlib runs it may say that it takes a while.
        ended = echoproto("report", *names, "--html", "report.html", cwd=self.folder)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        page = self.folder / "report.html"
        text = page.read_text(encoding="utf-8")
        # A script of ours looks; the page as it is lets none run.
        looking = self.folder / "looking.html"
        open_ = re.sub("<meta http-equiv[^>]*>", "", text)
        looking.write_text(open_.replace("</body>", f"{SIZES}</body>"), encoding="utf-8")
        for width in (1200, 500):
            said = browse(looking, f"--window-size={width},900", "--dump-dom")
            self.assertNotIn("CONSOLE", said.stderr)
            found = re.search(r"data-sizes=\"([^\"]*)\"", said.stdout)
            self.assertIsNotNone(found, said.stderr)
            sizes = json.loads(found[1].replace("&quot;", '"')) if found else {}
            self.assertEqual((len(sizes["pictures"]), len(sizes["tables"])), (4, 2))
            self.assertTrue(
                all(wide > 300 and high > 180 for wide, high in sizes["pictures"]), sizes
            )
            self.assertGreater(sizes["shapes"], 100)
            self.assertLessEqual(sizes["width"], sizes["screen"])
            self.assertTrue(sizes["title"].startswith("Echo of udp://127.0.0.1:"))
        picture = self.folder / "page.png"
        said = browse(page, f"--screenshot={picture.resolve()}")
        self.assertNotIn("CONSOLE", said.stderr)
        self.assertEqual(picture.read_bytes()[1:4], b"PNG")
