"""
Every command and every Python snippet of the README is run, and prints what the README says.

A block's first word is its language, its second what to do with it: ``server`` and ``tests`` are the two
install commands, ``start`` runs a server for the blocks that follow. Ports are replaced by
free ones.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback.program import PATIENCE, ROOT, Program, environment, halfCloseEcho

#: Blocks that show what the block before them prints.
OUTPUT = "text"


@dataclass(frozen=True)
class Block:
    """
    One fenced block.

    :ivar line: where it begins.
    :ivar kind: what stands behind the fence.
    :ivar text: what is in it.
    :ivar output: what the block after it says that it prints; ``None`` where there is none.
    """

    line: int
    kind: str
    text: str
    output: str | None = None


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a document, in order, each with its output."""
    found: list[Block] = []
    for match in re.finditer(r"^```([^\n]+)\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        line = markdown.count("\n", 0, match.start()) + 1
        if match[1] == OUTPUT:
            before = found.pop()
            found.append(Block(before.line, before.kind, before.text, match[2]))
        else:
            found.append(Block(line, match[1], match[2]))
    return found


BLOCKS = blocks((ROOT / "README.md").read_text(encoding="utf-8"))


def only(kind: str) -> Block:
    """The one block of a kind."""
    [block] = [block for block in BLOCKS if block.kind == kind]
    return block


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """The README's server, started with its own options; its ports by those that the README names."""
    options = only("sh start").text.split()[3:]
    assert options == ["--port", "12345", "--greet", "12346"]
    with Program("--port", "0", "--greet", "0", listeners=8) as program:
        yield {"12345": str(program.port("echo")), "12346": str(program.port("greeting"))}


def replaced(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"1234[56]", lambda port: ports[port[0]], text)


def run(command: list[str], folder: Path) -> str:
    """What a command prints; it must end well."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**environment(), "PATH": path, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind in ("sh", "python")], ids=lambda b: f"line{b.line}"
)
def test_block(block: Block, ports: dict[str, str], tmp_path: Path) -> None:
    """The block runs, and prints what the README says."""
    if " nc " in block.text and shutil.which("nc") is None:
        pytest.skip("nc is not installed")
    program = ["sh", "-ec"] if block.kind == "sh" else [sys.executable, "-c"]
    printed = run([*program, replaced(block.text, ports)], tmp_path)
    assert block.output is not None, "say in the README what it prints"
    assert printed.rstrip() == block.output.rstrip()


def test_everyBlockIsKnown() -> None:
    """No block is of a kind that nobody runs."""
    assert {block.kind for block in BLOCKS} == {"sh server", "sh tests", "sh start", "sh", "python"}


@pytest.mark.skipif(
    "CI" not in os.environ, reason="installs from the registry: only where CI is set"
)
def test_serverCommand(tmp_path: Path) -> None:
    """The first command, in a copy of this checkout with an empty environment, starts a server that echoes."""
    copy = tmp_path / "echoproto"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv*", ".git", "*.egg-info"))
    [command] = only("sh server").text.splitlines()
    # The last program takes the shell's place, so that it gets the signal.
    shell = replaced(command, {"12345": "0"}).replace(
        "&& .venv/bin/twistd", "&& exec .venv/bin/twistd"
    )
    with Program(command=["bash", "-c", shell], folder=copy) as program:
        assert halfCloseEcho(program.address("echo", "tcp"), b"hello") == b"hello"
        assert program.stop() == -signal.SIGTERM
