"""Container engines for tests: Docker and podman, with images and containers of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from unittest import SkipTest

from tests.deploy.baseimage import PYTHON, writeBase
from tests.hosts.namespaces import Host
from tests.loopback.program import PATIENCE, ROOT
from tests.loopback.test_operation import until

#: What pip prints when it reaches no index.
NO_INDEX = "Could not find a version that satisfies the requirement"

#: podman's settings: without systemd, and with limits that this process may set.
PODMAN = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


def requirePrograms(*names: str) -> None:
    """Skip the test without root, or without these programs."""
    missing = [name for name in (*names, "ldd", "unshare", PYTHON) if which(name) is None]
    if os.geteuid() != 0 or missing:
        raise SkipTest(f"no container engine here: needs {missing[0] if missing else 'root'}")


class Engine:
    """
    An engine.

    :param command: its command, with the options that name its folders.
    :param environment: further variables of its environment.
    :param folder: for its files.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._command = command
        self._environment = {**os.environ, **environment}
        self._folder = folder

    def run(self, *words: str, host: Host | None = None) -> subprocess.CompletedProcess[str]:
        """
        Run a command.

        :param host: where it runs; on this machine by default.
        """
        command = [*self._command, *words]
        return subprocess.run(
            command if host is None else host.command(*command),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def output(self, *words: str, host: Host | None = None) -> str:
        """The output of a command, which must succeed."""
        finished = self.run(*words, host=host)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout.strip()

    def importArchive(self, archive: Path, name: str, *changes: str) -> None:
        """Make an image of the files of an archive, which is removed."""
        options = [word for change in changes for word in ("-c", change)]
        self.output("import", *options, str(archive), name)
        archive.unlink()

    def build(self, name: str, *options: str) -> None:
        """Build the image from the Containerfile, with the network of this machine."""
        archive = self._folder / "base.tar"
        writeBase(archive)
        self.importArchive(archive, "base", "ENV PATH=/usr/bin")
        source = ["-f", str(ROOT / "Containerfile"), str(ROOT)]
        base = ["--network", "host", "--build-arg", "BASE=base"]
        built = self.run("build", *options, *base, "-t", name, *source)
        output = built.stdout + built.stderr
        if built.returncode != 0 and NO_INDEX in output:
            raise SkipTest("no package index can be reached while the image is built")
        assert built.returncode == 0, output


class Docker(Engine):
    """
    Docker, with a daemon.

    :param folder: for its socket, images and containers.
    :ivar address: the address of the daemon.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"unix://{folder}/docker.sock"
        super().__init__(["docker", "-H", self.address], {"DOCKER_BUILDKIT": "0"}, folder)

    @contextmanager
    def running(self, host: Host | None = None) -> Iterator[None]:
        """
        Run the daemon; at the end its containers are removed, and it is stopped.

        :param host: whose network containers reach; without one they have a loopback interface
            only.
        """
        folders = [f"--{name}-root={self._folder / name}" for name in ("data", "exec")]
        # With mounts of its own, none is left behind.
        command = ["unshare", "--mount", "dockerd", "-H", self.address, *folders]
        command.append(f"--pidfile={self._folder}/pid")
        if host is None:
            command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        else:
            command = host.command(*command)
        with (self._folder / "log").open("w") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: daemon.poll() is not None or self.run("version").returncode == 0)
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


class Podman(Engine):
    """
    Podman.

    :param folder: for its images and containers.
    """

    def __init__(self, folder: Path) -> None:
        settings = folder / "containers.conf"
        settings.write_text(PODMAN)
        folders = [f"--{name}={folder / name}" for name in ("root", "runroot", "tmpdir")]
        command = ["podman", *folders, f"--network-config-dir={folder / 'networks'}"]
        super().__init__(command, {"CONTAINERS_CONF": str(settings)}, folder)
