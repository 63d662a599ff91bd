"""
Compiles the programs in C and Go into ``benchmarks/build/``, and makes a certificate.

The C compiler is required. Without the headers of OpenSSL or the ``openssl`` command there is no
certificate, and without Go no server in Go: what needs them is not measured.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
LOAD = BUILD / "load"
FLOOR = BUILD / "floor"
PINGPONG = BUILD / "pingpong"
GO = BUILD / "on_go"
CERTIFICATE = BUILD / "server.pem"


class BenchmarkError(Exception):
    """A compiler, a server, the load generator or a client failed; the message is one line."""


def build() -> None:
    """
    Compile everything.

    :raise BenchmarkError: no C compiler is installed, or it fails.
    """
    BUILD.mkdir(exist_ok=True)
    (BUILD / ".gitignore").write_text("*\n")
    if shutil.which("cc") is None:
        raise BenchmarkError("no C compiler; install one (Debian: gcc and libc6-dev)")
    load = ("cc", "-O2", "-o", str(LOAD), str(HERE / "load.c"))
    if not (_run(*load, "-DWITH_TLS", "-lssl", "-lcrypto") and _certificate()):
        CERTIFICATE.unlink(missing_ok=True)
        _compile(*load)
    _compile("cc", "-O2", "-o", str(FLOOR), str(HERE / "servers/floor.c"))
    _compile("cc", "-O2", "-o", str(PINGPONG), str(HERE / "clients/pingpong.c"))
    _run("go", "build", "-o", str(GO), str(HERE / "servers/on_go.go"))


def _certificate() -> bool:
    """Make a certificate and its key, in one file; returns whether that worked."""
    if CERTIFICATE.exists():
        return True
    key, certificate = BUILD / "key.pem", BUILD / "certificate.pem"
    made = _run(
        *("openssl", "req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=localhost"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    if made:
        CERTIFICATE.write_text(certificate.read_text() + key.read_text())
    return made


def _compile(*command: str) -> None:
    if not _run(*command):
        raise BenchmarkError(f"the compiler fails: {' '.join(command)}")


def _run(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
