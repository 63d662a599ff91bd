"""
Run all commands and Python snippets of the pages, and compare their output with the page.

The first word of a block is its language, the second its role: in the README ``server`` and
``tests`` are the two set-up commands, and ``start`` runs a server for the blocks of all pages; the
``release`` commands are run in order, in a copy of the checkout.
Ports are replaced by free ones. Output marked ``figures`` is compared without its numbers, and may
continue. Files of targets (``toml``) and configurations of Prometheus
(``yaml``) are checked. Blocks without a language, queries of Prometheus
(``promql``), and directives of Sphinx (``{...}``) are not run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.loopback.program import PATIENCE, ROOT, Program, environment, halfCloseEcho

#: Pages relative to the checkout; those in folders of ``docs/`` too.
PAGES = ("README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")))

#: Blocks with the output of the previous block.
EXACT, FIGURES = "text", "text figures"


@dataclass(frozen=True)
class Block:
    """
    A fenced block.

    :ivar page: its page.
    :ivar line: its first line.
    :ivar kind: the words after the fence.
    :ivar text: its content.
    :ivar output: the content of the output block after it, or ``None``.
    :ivar figures: whether the numbers in the output vary.
    """

    page: str
    line: int
    kind: str
    text: str
    output: str | None = None
    figures: bool = False

    def matches(self, printed: str) -> bool:
        """Whether the output on the page matches the printed one."""
        shown = (self.output or "").rstrip()
        if self.figures:
            return withoutFigures(printed).startswith(withoutFigures(shown))
        return shown == printed.rstrip()


def withoutFigures(text: str) -> str:
    """The text with ``0`` for every number, no unit prefixes, and single spaces."""
    text = re.sub(r"\d+(\.\d+)?", "0", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"\b[KMG]iB\b", "B", text))


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order, with their outputs."""
    markdown = (ROOT / page).read_text(encoding="utf-8")
    found: list[Block] = []
    for match in re.finditer(r"^```([^{\n][^\n]*)\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        line = markdown.count("\n", 0, match.start()) + 1
        if match[1] in (EXACT, FIGURES):
            before = found.pop()
            shown = Block(page, before.line, before.kind, before.text, match[2])
            found.append(replace(shown, figures=match[1] == FIGURES))
        else:
            found.append(Block(page, line, match[1], match[2]))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]


def only(kind: str) -> Block:
    """The only block of a kind."""
    [block] = [block for block in BLOCKS if block.kind == kind]
    return block


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """Run the README's server with its own options; its real ports by those on the pages."""
    options = only("sh start").text.split()[3:]
    assert options == ["--port", "12345", "--greet", "12346", "--status", "9100"]
    with Program("--port", "0", "--greet", "0", "--status", "0", listeners=9) as program:
        names = {"12345": "echo", "12346": "greeting", "9100": "status"}
        yield {shown: str(program.port(name)) for shown, name in names.items()}


def withPorts(text: str, ports: dict[str, str]) -> str:
    """The text with real ports instead of those on the pages."""
    return re.sub(r"\b(1234[56]|9100)\b", lambda port: ports[port[0]], text)


def run(command: list[str], folder: Path, patience: float = PATIENCE) -> str:
    """Run a command, which must succeed within ``patience`` seconds, and return its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**environment(), "PATH": path, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.kind in ("sh", "python")],
    ids=lambda block: f"{block.page}-{block.line}",
)
def test_block(block: Block, ports: dict[str, str], tmp_path: Path) -> None:
    """The block runs and prints the output on the page."""
    if " nc " in block.text and shutil.which("nc") is None:
        pytest.skip("nc is not installed")
    program = ["sh", "-ec"] if block.kind == "sh" else [sys.executable, "-c"]
    printed = run([*program, withPorts(block.text, ports)], tmp_path)
    assert block.output is not None, "show the output on the page"
    shown = printed
    for named, real in ports.items():
        shown = shown.replace(real, named)
    assert block.matches(shown), shown


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.kind == "toml"],
    ids=lambda block: f"{block.page}-{block.line}",
)
def test_targets(block: Block, tmp_path: Path) -> None:
    """The monitor accepts the file of targets."""
    (tmp_path / "targets.toml").write_text(block.text)
    run(["echoproto", "monitor", "--check", "targets.toml"], tmp_path)


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.kind == "yaml"],
    ids=lambda block: f"{block.page}-{block.line}",
)
def test_scrapeConfig(block: Block, tmp_path: Path) -> None:
    """Prometheus accepts the configuration."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    (tmp_path / "prometheus.yml").write_text(block.text)
    run(["promtool", "check", "config", "prometheus.yml"], tmp_path)


def test_allKindsAreKnown() -> None:
    """Every block with a language has a known kind."""
    setUp = {"sh server", "sh tests", "sh start", "sh release"}
    assert {block.kind for block in BLOCKS} == {*setUp, "sh", "python", "toml", "yaml", "promql"}


installing = pytest.mark.skipif(
    "CI" not in os.environ, reason="installs from the package index: only if CI is set"
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the checkout, without an environment."""
    ignored = shutil.ignore_patterns(".venv*", ".git", "*.egg-info", "build", "dist")
    return Path(shutil.copytree(ROOT, tmp_path / "echoproto", ignore=ignored))


@installing
def test_releaseCommands(copy: Path) -> None:
    """The commands of a release build archives and a bill of materials."""
    for block in BLOCKS:
        if block.kind == "sh release":
            run(["sh", "-ec", block.text], copy, patience=600.0)
    made = sorted(path.suffix for path in (copy / "dist").iterdir())
    assert made == [".gz", ".json", ".whl"]


@installing
def test_serverCommand(copy: Path) -> None:
    """The first command, in a copy of the checkout without an environment, starts a server."""
    [command] = only("sh server").text.splitlines()
    # With "exec", the server itself receives the signal.
    shell = withPorts(command, {"12345": "0"}).replace(
        "&& .venv/bin/twistd", "&& exec .venv/bin/twistd"
    )
    with Program(command=["bash", "-c", shell], folder=copy) as program:
        assert halfCloseEcho(program.address("echo", "tcp"), b"hello") == b"hello"
        assert program.stop() == -signal.SIGTERM
