"""
Compiles the load generator, and the servers and clients that need it, and makes a certificate, into ``benchmarks/build/``.

What the system has no compiler for is left out, save the load generator.
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


def build() -> dict[str, str]:
    """
    Compile everything.

    :return: what could not be had, and why: ``tls``, ``Go``.
    :raise SystemExit: there is no C compiler.
    """
    BUILD.mkdir(exist_ok=True)
    (BUILD / ".gitignore").write_text("*\n")
    if shutil.which("cc") is None:
        raise SystemExit("benchmarks: no C compiler; install one (gcc, libc6-dev)")
    missing = {}
    source = str(HERE / "load.c")
    tls = ["-DWITH_TLS", "-o", str(LOAD), source, "-lssl", "-lcrypto"]
    if not _ran("cc", "-O2", *tls) or not _certificate():
        missing["tls"] = "no headers of OpenSSL (libssl-dev), or no openssl"
        if not _ran("cc", "-O2", "-o", str(LOAD), source):
            raise SystemExit(f"benchmarks: cc cannot compile {source}")
    _ran("cc", "-O2", "-o", str(FLOOR), str(HERE / "servers/floor.c"))
    _ran("cc", "-O2", "-o", str(PINGPONG), str(HERE / "clients/pingpong.c"))
    if not _ran("go", "build", "-o", str(GO), str(HERE / "servers/on_go.go")):
        missing["Go"] = "no go"
    return missing


def _certificate() -> bool:
    """A certificate and its key in one file."""
    if CERTIFICATE.exists():
        return True
    key, certificate = BUILD / "key.pem", BUILD / "certificate.pem"
    made = _ran(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"),
        *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
    )
    if made:
        CERTIFICATE.write_text(certificate.read_text() + key.read_text())
    return made


def _ran(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
