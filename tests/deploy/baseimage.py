"""Root file systems of this machine's files, as images of containers."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

#: The system's Python: unlike one in a home folder, it runs in another root with the same files.
PYTHON = "/usr/bin/python3"

#: Folders that are not copied: caches, tests and Debian's own packages.
LEFT_OUT = re.compile(r"/(__pycache__|test|tests|dist-packages)$")


def writeBase(archive: Path) -> None:
    """Write the files of Python, a shell and their libraries to an archive."""
    library = subprocess.check_output([PYTHON, "-c", "import os; print(os.__file__)"], text=True)
    standard = Path(library.strip()).parent
    modules = (standard / "lib-dynload").glob("*.so")
    files = {standard, Path("/usr/share/python-wheels")}
    files |= {Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf")}
    libraries = _librariesOf(PYTHON, "/bin/sh", *map(str, modules))
    # Wheels are linked with the parts of an older C library.
    [libc] = [path for path in libraries if path.name.startswith("libc.so")]
    parts = ("libdl", "libpthread", "librt", "libutil")
    files |= libraries | {path for part in parts for path in libc.parent.glob(f"{part}.so.*")}
    _write(archive, {Path(PYTHON), Path("/bin/sh"), *files})


def writeProgram(archive: Path, program: str) -> None:
    """Write the files of a program and its libraries to an archive."""
    _write(archive, {Path(program), *_librariesOf(program)})


def _librariesOf(*programs: str) -> set[Path]:
    linked = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True, check=True)
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", linked.stdout)}


def _write(archive: Path, files: Iterable[Path]) -> None:
    with tarfile.open(archive, "w", dereference=True) as tar:
        for folder in ("bin", "lib", "lib64"):
            link = tarfile.TarInfo(folder)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{folder}"
            tar.addfile(link)
        for path in sorted(path for path in files if path.exists()):
            tar.add(path, str(path.parent.resolve() / path.name), filter=_needed)


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member of the archive, or ``None`` to leave it out."""
    return None if LEFT_OUT.search(member.name) else member
