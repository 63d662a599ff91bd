"""``echoproto report`` as a program, on measured results; a browser opens its page."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.command import PATIENT, runCommand
from tests.loopback.program import Program

BROWSER = shutil.which("chromium")

#: Headless, without a sandbox, which root cannot use, and without background traffic.
BROWSER_OPTIONS = (
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

#: Timeout of a browser in seconds; it starts slowly on a busy machine.
BROWSER_TIMEOUT = 60

#: Reports the sizes of charts and tables, and the width of the page, in the page itself.
SIZES = """<script>
const sizes = (name) => [...document.querySelectorAll(name)].map((node) => {
  const box = node.getBoundingClientRect();
  return [box.width, box.height];
});
document.body.dataset.sizes = JSON.stringify({
  pictures: sizes("svg"), shapes: sizes("svg path").length, tables: sizes("table"),
  width: document.documentElement.scrollWidth, screen: window.innerWidth, title: document.title,
});
</script>"""


def browse(page: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a file or a URL in a browser, and end it with its child processes."""
    with (
        tempfile.TemporaryDirectory() as profile,
        subprocess.Popen(
            [
                BROWSER or "",
                *BROWSER_OPTIONS,
                f"--user-data-dir={profile}",
                *options,
                page if isinstance(page, str) else page.resolve().as_uri(),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running,
    ):
        try:
            output, errors = running.communicate(timeout=BROWSER_TIMEOUT)
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(running.args, running.returncode, output, errors)


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def succeed(self, *words: str) -> str:
        ended = runCommand(*words, cwd=self.folder)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return ended.stdout

    def measure(self) -> None:
        """Write result files of every measuring command."""
        with Program("-p", "0") as program:
            here = f"127.0.0.1:{program.port()}"
            probes = ("ping", *PATIENT, "-c", "100", "-i", "1ms", f"udp://{here}", here)
            self.succeed(*probes, "-o", "json", "--out", "ping.json")
            self.succeed(*probes, "-o", "ndjson", "--out", "ping.ndjson")
            self.succeed("load", *PATIENT, "-c", "1000", here, "-o", "json", "--out", "load.json")
            self.succeed(
                "verify", *PATIENT, "--bytes", "1MiB", here, "-o", "json", "--out", "verify.json"
            )

    def test_everything(self) -> None:
        """Results are read, merged, compared and written, and read again."""
        self.measure()
        files = ("ping.json", "ping.ndjson", "load.json", "verify.json")
        header, *rows = self.succeed("report", *files).splitlines()
        # A busy machine adds notes.
        rows = [row for row in rows if "): " not in row]
        self.assertEqual((header.split()[0], len(rows)), ("target", 6))
        merged = ("--merge", "-o", "json", "--out", "all.json")
        self.succeed("report", *merged, "ping.json", "ping.ndjson")
        found = json.loads((self.folder / "all.json").read_text())
        (result,) = found["results"]
        self.assertEqual((result["sent"], result["received"], result["times"]["count"]), (400,) * 3)
        self.assertIn(" 400 ", self.succeed("report", "all.json"))
        self.assertIn("p99.9", self.succeed("report", "--compare", "ping.json", "ping.ndjson"))

    def test_input(self) -> None:
        """A result can be read from a pipe; an incomplete one is an error."""
        for text, message in (("", "empty file"), ('{"format":', "truncated")):
            ended = runCommand("report", "-", input=text)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""))
            self.assertRegex(ended.stderr, f"^echoproto report: standard input: .*{message}.*\n$")

    def test_page(self) -> None:
        """In a browser, wide or narrow, every chart has a size, and nothing exceeds the window."""
        if BROWSER is None:
            raise SkipTest("there is no chromium")
        self.measure()
        names = ("ping.json", "ping.ndjson", "load.json")
        # On its first run matplotlib may print a message about its font cache.
        ended = runCommand("report", *names, "--html", "report.html", cwd=self.folder)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        page = self.folder / "report.html"
        text = page.read_text(encoding="utf-8")
        # A script in a copy of the page measures it; the page itself permits no scripts.
        measuring = self.folder / "measuring.html"
        open_ = re.sub("<meta http-equiv[^>]*>", "", text)
        measuring.write_text(open_.replace("</body>", f"{SIZES}</body>"), encoding="utf-8")
        for width in (1200, 500):
            shown = browse(measuring, f"--window-size={width},900", "--dump-dom")
            self.assertNotIn("CONSOLE", shown.stderr)
            found = re.search(r"data-sizes=\"([^\"]*)\"", shown.stdout)
            self.assertIsNotNone(found, shown.stderr)
            sizes = json.loads(found[1].replace("&quot;", '"')) if found else {}
            self.assertEqual((len(sizes["pictures"]), len(sizes["tables"])), (4, 2))
            self.assertTrue(
                all(wide > 300 and high > 180 for wide, high in sizes["pictures"]), sizes
            )
            self.assertGreater(sizes["shapes"], 100)
            self.assertLessEqual(sizes["width"], sizes["screen"])
            self.assertTrue(sizes["title"].startswith("Echo of udp://127.0.0.1:"))
        picture = self.folder / "page.png"
        shown = browse(page, f"--screenshot={picture.resolve()}")
        self.assertNotIn("CONSOLE", shown.stderr)
        self.assertEqual(picture.read_bytes()[1:4], b"PNG")
