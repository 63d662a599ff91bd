"""A Docker daemon for tests, and a base image made of this machine's Python."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from time import monotonic
from unittest import SkipTest

from tests.loopback.program import PATIENCE, ROOT

#: The system's Python: unlike one in a home folder, it runs in another root with the same files.
PYTHON = "/usr/bin/python3"

#: What pip prints when it reaches no index.
NO_INDEX = "Could not find a version that satisfies the requirement"

#: Folders that are not copied: caches, tests and Debian's own packages.
LEFT_OUT = re.compile(r"/(__pycache__|test|tests|dist-packages)$")


def missingPart() -> str | None:
    """What an engine lacks on this machine, or ``None``."""
    if os.geteuid() != 0:
        return "root"
    missing = [
        name for name in ("docker", "dockerd", "ldd", "unshare", PYTHON) if which(name) is None
    ]
    return missing[0] if missing else None


class Engine:
    """
    A running daemon, without a network of its own: containers have a loopback interface only.

    :param folder: for its socket, images and containers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._host = f"unix://{folder}/docker.sock"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the daemon; at the end its containers are removed, and it is stopped."""
        folders = [f"--{name}-root={self._folder / name}" for name in ("data", "exec")]
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        options = [*network, f"--pidfile={self._folder}/pid"]
        with (self._folder / "log").open("w") as log:
            # With mounts of its own, none is left behind.
            daemon = subprocess.Popen(
                ["unshare", "--mount", "dockerd", "-H", self._host, *folders, *options],
                stdout=log,
                stderr=log,
            )
        try:
            self.until(lambda: daemon.poll() is not None or self.run("version").returncode == 0)
            if daemon.poll() is not None:
                # A machine may not permit what a daemon needs, such as mounts.
                lines = (self._folder / "log").read_text().splitlines() or ["no output"]
                raise SkipTest(f"dockerd does not start here: {lines[-1]}")
            yield
            for container in self.output("ps", "-aq").split():
                self.output("rm", "-f", container)
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``docker``."""
        return subprocess.run(
            ["docker", "-H", self._host, *words],
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )

    def output(self, *words: str) -> str:
        """The output of ``docker``, which must succeed."""
        finished = self.run(*words)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout.strip()

    def importBase(self, name: str) -> None:
        """Make an image of this machine's Python, a shell and their libraries."""
        archive = self._folder / "base.tar"
        with tarfile.open(archive, "w", dereference=True) as tar:
            for folder in ("bin", "lib", "lib64"):
                link = tarfile.TarInfo(folder)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{folder}"
                tar.addfile(link)
            for path in sorted(_baseFiles()):
                tar.add(path, str(path.parent.resolve() / path.name), filter=_needed)
        self.output("import", "-c", "ENV PATH=/usr/bin", str(archive), name)
        archive.unlink()

    def build(self, name: str, base: str) -> None:
        """Build the image from the Containerfile, with the network of this machine."""
        source = ["-f", str(ROOT / "Containerfile"), str(ROOT)]
        built = self.run(
            "build", "--network", "host", "--build-arg", f"BASE={base}", "-t", name, *source
        )
        if built.returncode != 0 and NO_INDEX in built.stdout:
            raise SkipTest("no package index can be reached while the image is built")
        assert built.returncode == 0, built.stdout

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, for minutes at most."""
        end = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < end, "hangs"


def _baseFiles() -> set[Path]:
    """The files and folders of the base image."""
    library = subprocess.check_output([PYTHON, "-c", "import os; print(os.__file__)"], text=True)
    standard = Path(library.strip()).parent
    files = {Path(PYTHON), Path("/bin/sh"), standard, Path("/usr/share/python-wheels")}
    files |= {Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf")}
    programs = [PYTHON, "/bin/sh", *map(str, (standard / "lib-dynload").glob("*.so"))]
    linked = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True, check=True)
    libraries = {Path(found) for found in re.findall(r"(/\S+) \(0x", linked.stdout)}
    # Wheels are linked with the parts of an older C library.
    [libc] = [path for path in libraries if path.name.startswith("libc.so")]
    parts = ("libdl", "libpthread", "librt", "libutil")
    files |= libraries | {path for part in parts for path in libc.parent.glob(f"{part}.so.*")}
    return {path for path in files if path.exists()}


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member of the archive, or ``None`` to leave it out."""
    return None if LEFT_OUT.search(member.name) else member
