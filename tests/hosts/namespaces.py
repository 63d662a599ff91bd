"""Network namespaces as hosts, connected by a switch."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from shutil import which
from signal import SIGINT
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar, cast
from unittest import SkipTest
from urllib.error import HTTPError
from urllib.request import urlopen

from typing_extensions import Self

from tests.loopback.program import PATIENCE, Program, environment

#: The network of the hosts at a switch; it is reserved for documentation (RFC 5737).
NETWORK = "192.0.2."


@cache
def _missingPart() -> str | None:
    """What namespaces lack on this machine, or ``None``."""
    if os.geteuid() != 0:
        return "needs root"
    for name in ("ip", "nsenter", "unshare"):
        if which(name) is None:
            return f"needs {name}"
    made = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "probe", "type", "veth"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return None if made.returncode == 0 else f"no network namespaces here: {made.stdout.strip()}"


#: From linux/sched.h.
CLONE_NEWNET = 0x40000000

_T = TypeVar("_T")


class Measurement:
    """
    A running command that prints a result as JSON.

    :param command: the command.
    """

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.kill)

    def result(self) -> dict[str, Any]:
        """Wait for the result."""
        try:
            output, errors = self._process.communicate(timeout=3 * PATIENCE)
        finally:
            self._process.kill()
        assert output, errors
        return cast(dict[str, Any], json.loads(output))

    def interrupt(self) -> dict[str, Any]:
        """End it as Ctrl-C does, and return the result."""
        assert self._process.poll() is None, self.result()
        self._process.send_signal(SIGINT)
        return self.result()


class Host:
    """
    A network namespace, with a loopback interface. It ends with this process at the latest.

    :ivar address: its address at the switch, if it has one.
    :raise SkipTest: there are no namespaces here.
    """

    def __init__(self, address: str = "") -> None:
        if missing := _missingPart():
            raise SkipTest(missing)
        self.address = address
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        # The line means that the namespace exists.
        cast(IO[bytes], self._holder.stdout).readline()
        self.namespace = f"/proc/{self._holder.pid}/ns/net"
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate(timeout=PATIENCE)

    @property
    def pid(self) -> int:
        """A process in the namespace, by which ip(8) can name it."""
        return self._holder.pid

    def command(self, *words: str) -> list[str]:
        """The command that runs a command on this host."""
        return ["nsenter", f"--net={self.namespace}", "--", *words]

    def run(self, *words: str) -> str:
        """Run a command, which must succeed; return its output."""
        finished = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert finished.returncode == 0, f"{' '.join(words)}: {finished.stdout}"
        return finished.stdout

    def inside(self, function: Callable[[], _T]) -> _T:
        """Call a function in a thread that is on this host; sockets that it opens belong to it."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(self.namespace,)) as threads:
            return threads.submit(function).result()

    def fetch(self, url: str) -> tuple[int, str]:
        """The status and the body of a page, as this host sees it."""

        def answer() -> tuple[int, str]:
            try:
                with urlopen(url, timeout=PATIENCE) as page:
                    return page.status, page.read().decode()
            except HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        return self.inside(answer)

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run a program until the end; its output is part of the error if it ends by itself."""
        with TemporaryFile("w+") as output:
            process = subprocess.Popen(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
            )
            try:
                yield process
                output.seek(0)
                assert process.poll() is None, output.read()
            finally:
                process.terminate()
                process.wait(PATIENCE)

    def measure(self, *words: str) -> Measurement:
        """Start a command of ``echoproto`` that prints a result as JSON."""
        return Measurement(self.command(sys.executable, "-m", "echoproto", *words, "-o", "json"))

    def serve(self, *words: str) -> Program:
        """Start ``echoproto serve``, and wait until each listener that ``words`` name listens."""
        return Program(
            command=self.command(sys.executable, "-m", "echoproto", "serve", *words),
            listeners=sum(word in ("--port", "--udp-plus", "--status") for word in words),
        )


def _enter(namespace: str) -> None:
    """Move this thread to a network namespace (setns(2)); its process stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


@contextmanager
def switched(*addresses: int) -> Iterator[list[Host]]:
    """
    Hosts with an Ethernet switch between them.

    :param addresses: the last byte of the address of each, in :data:`NETWORK`.
    """
    with ExitStack() as stack:
        switch = stack.enter_context(Host())
        switch.run("ip", "link", "add", "switch", "type", "bridge")
        switch.run("ip", "link", "set", "switch", "up")
        hosts = [stack.enter_context(Host(f"{NETWORK}{number}")) for number in addresses]
        for number, host in enumerate(hosts):
            ends = ["port", "type", "veth", "peer", "name", f"port{number}", "netns"]
            host.run("ip", "link", "add", *ends, str(switch.pid))
            switch.run("ip", "link", "set", f"port{number}", "master", "switch", "up")
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "port")
            host.run("ip", "link", "set", "port", "up")
        yield hosts
