"""
Compiles the programs in C and Go into ``benchmarks/build/``, and makes a certificate.

Only the load generator is required; other programs are omitted if their compiler is missing.
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

    :return: the missing features, ``tls`` or ``Go``, with the reason.
    :raise SystemExit: no C compiler is installed.
    """
    BUILD.mkdir(exist_ok=True)
    (BUILD / ".gitignore").write_text("*\n")
    if shutil.which("cc") is None:
        raise SystemExit("benchmarks: no C compiler; install one (gcc, libc6-dev)")
    missing = {}
    source = str(HERE / "load.c")
    tls = ["-DWITH_TLS", "-o", str(LOAD), source, "-lssl", "-lcrypto"]
    if not _run("cc", "-O2", *tls) or not _certificate():
        missing["tls"] = "the headers of OpenSSL (libssl-dev) or the openssl command are missing"
        if not _run("cc", "-O2", "-o", str(LOAD), source):
            raise SystemExit(f"benchmarks: cc cannot compile {source}")
    _run("cc", "-O2", "-o", str(FLOOR), str(HERE / "servers/floor.c"))
    _run("cc", "-O2", "-o", str(PINGPONG), str(HERE / "clients/pingpong.c"))
    if not _run("go", "build", "-o", str(GO), str(HERE / "servers/on_go.go")):
        missing["Go"] = "go is not installed"
    return missing


def _certificate() -> bool:
    """Make a certificate and its key, in one file; returns whether that worked."""
    if CERTIFICATE.exists():
        return True
    key, certificate = BUILD / "key.pem", BUILD / "certificate.pem"
    ok = _run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"),
        *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
    )
    if ok:
        CERTIFICATE.write_text(certificate.read_text() + key.read_text())
    return ok


def _run(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
