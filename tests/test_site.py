"""
The site and the manual pages are built without a warning, and fit on screens of all sizes.

They need the extra ``docs``. A browser opens all pages, in frames of several widths.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from echoproto.cli.main import COMMANDS
from tests.loopback.program import PATIENCE, ROOT
from tests.loopback.test_report import BROWSER, browse

pytestmark = pytest.mark.skipif(find_spec("furo") is None, reason="the extra docs is missing")

#: Widths of a phone, a tablet and a desktop, in pixels.
WIDTHS = (360, 800, 1400)

#: Opens the pages one after the other in a frame, and collects what is wrong in the layout.
CHECK = """<!doctype html><body><script>
const pages = PAGES, found = {}, frame = document.createElement("iframe");
frame.style = "width: WIDTHpx; height: 900px; border: 0";

function problems(page) {
  if (!page.querySelector("article")) return ["no article"];
  const root = page.documentElement, view = page.defaultView, wrong = [];
  page.body.dataset.theme = "THEME";
  const note = (text, node) =>
    wrong.push(text + ": " + node.tagName + " " + node.textContent.trim().slice(0, 60));
  if (root.scrollWidth > view.innerWidth) wrong.push("wider than the window");
  const dark = view.getComputedStyle(page.body).backgroundColor.match(/\\d+/g)[0] < 128;
  if (dark !== ("THEME" === "dark")) wrong.push("not the background of the theme");
  for (const node of page.querySelectorAll("article *")) {
    if (node.closest("svg") || !node.offsetParent || node.closest(".headerlink, .visually-hidden"))
      continue;
    const box = node.getBoundingClientRect();
    let scrolls = false;
    for (let outer = node; outer && outer.tagName !== "ARTICLE"; outer = outer.parentElement)
      scrolls ||= /auto|scroll/.test(view.getComputedStyle(outer).overflowX);
    if (!scrolls && (box.right > view.innerWidth + 1 || box.left < -1)) note("cut", node);
    const hides = view.getComputedStyle(node).overflowX === "hidden";
    if (hides && node.scrollWidth > node.clientWidth + 1) note("hidden", node);
  }
  const texts = [...page.querySelectorAll("p, pre, h1, h2, h3, dt, td, th, img")].filter(
    (node) => node.offsetParent && node.closest("article") && !node.querySelector("p, pre, img"));
  for (const [index, node] of texts.entries()) {
    if (index === 0) continue;
    const [one, two] = [texts[index - 1], node].map((text) => text.getBoundingClientRect());
    if (one.bottom > two.top + 1 && two.bottom > one.top + 1 &&
        one.right > two.left + 1 && two.right > one.left + 1) note("overlaps", node);
  }
  return wrong;
}

frame.onload = () => {
  found[pages[0]] = problems(frame.contentDocument);
  pages.shift();
  open();
};
function open() {
  if (pages.length) frame.src = pages[0];
  else document.body.dataset.found = JSON.stringify(found);
}
open();
document.body.append(frame);
</script></body>"""


def build(builder: str, folder: Path) -> Path:
    """Build the documentation, with warnings as errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder]
    ran = subprocess.run(
        [*command, "docs", folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    return build("html", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the manual pages."""
    return build("man", tmp_path_factory.mktemp("man"))


def test_commands(site: Path) -> None:
    """Every command has a page."""
    for name in (*COMMANDS, "twistd"):
        assert "option" in (site / "commands" / f"{name}.html").read_text(), name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_layout(site: Path, width: int, theme: str) -> None:
    """In a browser nothing is cut, and nothing overlaps."""
    if BROWSER is None:
        pytest.skip("there is no chromium")
    pages = sorted(str(page.relative_to(site)) for page in site.glob("**/*.html"))
    pages = [page for page in pages if page not in ("genindex.html", "py-modindex.html")]
    check = site / "check.html"
    text = CHECK.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(width))
    check.write_text(text.replace("THEME", theme))
    options = ("--allow-file-access-from-files", "--window-size=1500,1000", "--dump-dom")
    shown = browse(check, *options, "--virtual-time-budget=600000")
    check.unlink()
    found = re.search(r"data-found=\"([^\"]*)\"", shown.stdout)
    assert found is not None, shown.stderr
    problems = json.loads(unescape(found[1]))
    assert len(problems) == len(pages)
    assert {page: wrong for page, wrong in problems.items() if wrong} == {}


def test_manual(manual: Path) -> None:
    """Every command has a manual page with the usual sections; man accepts it without a warning."""
    for name in ("echoproto", "twistd-echoproto", *(f"echoproto-{name}" for name in COMMANDS)):
        page = manual / f"{name}.1"
        sections = re.findall(r"^\.SH (.*)", page.read_text(), re.MULTILINE)
        assert sections[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"], (name, sections)
        hasStatus = name not in ("echoproto", "twistd-echoproto")
        assert ("EXIT STATUS" in sections) == hasStatus, (name, sections)
        if which("man") is not None:
            ran = subprocess.run(
                ["man", "--warnings", "-l", page],
                env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert (ran.returncode, ran.stderr) == (0, "")
