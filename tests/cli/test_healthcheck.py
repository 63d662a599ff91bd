from __future__ import annotations

import socket
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from threading import Thread
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import healthcheck
from echoproto.cli.healthcheck import MAX_ANSWER, MAX_TEXT, checkHealth, runHealthCheck

READY = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nready\n"


class HealthTestCase(SynchronousTestCase):
    """A status listener that answers once."""

    def serving(self, answer: bytes, family: int = socket.AF_INET, place: Any = None) -> str:
        """Answer the next client; returns the URL."""
        listener = socket.socket(family)
        self.addCleanup(listener.close)
        listener.settimeout(120)
        listener.bind(place or ("127.0.0.1", 0))
        listener.listen()
        self.requests: list[bytes] = []

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                self.requests.append(connection.recv(1000))
                connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 120)
        return f"unix:{place}" if place else f"http://127.0.0.1:{listener.getsockname()[1]}"

    def check(self, url: str, ready: bool = False) -> tuple[int, str, str]:
        """The exit status, and the lines on standard output and standard error."""
        with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
            status = checkHealth(url, ready)
        return status, output.getvalue(), errors.getvalue()


class CheckHealthTests(HealthTestCase):
    def test_ready(self) -> None:
        """200 is success, with the answer on one line."""
        self.assertEqual(self.check(self.serving(READY), ready=True), (0, "ready\n", ""))
        self.assertEqual(self.requests, [b"GET /readyz HTTP/1.0\r\n\r\n"])

    def test_healthy(self) -> None:
        """Without --ready the page of liveness is asked; the path of a URL comes first."""
        url = self.serving(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.check(url), (0, "\n", ""))
        self.assertEqual(self.requests, [b"GET /healthz HTTP/1.0\r\n\r\n"])
        self.check(self.serving(READY) + "/readyz")
        self.assertEqual(self.requests, [b"GET /readyz HTTP/1.0\r\n\r\n"])

    def test_draining(self) -> None:
        """Any other status is a failure, with the reason."""
        url = self.serving(b"HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n")
        self.assertEqual(self.check(url), (1, f"echoproto health: {url}: 503 draining\n", ""))

    def test_strangeAnswer(self) -> None:
        """Whatever the server answers, one short line of visible characters is printed."""
        for answer, shown in (
            (
                b"HTTP/1.1 503 Bad\r\n\r\n\x1b]0;title\x07\xff\nready\n",
                "503 \\x1b]0;title\\x07\\xff",
            ),
            (b"HTTP/1.1 \x1b[2J Bad\r\n\r\n", "\\x1b[2J "),
            (b"HTTP/1.1 500 Bad\r\n\r\n" + b"x" * 5000, "500 " + "x" * 200),
        ):
            url = self.serving(answer)
            self.assertEqual(self.check(url), (1, f"echoproto health: {url}: {shown}\n", ""))

    def test_unix(self) -> None:
        """The status listener may be a UNIX socket."""
        path = self.mktemp()
        self.assertEqual(self.check(self.serving(READY, socket.AF_UNIX, path)), (0, "ready\n", ""))
        status, _, errors = self.check("unix:/nonexistent")
        line = (
            "echoproto health: unix:/nonexistent: No such file or directory; is the server running "
            "with --status, and is this the URL of its status listener?\n"
        )
        self.assertEqual((status, errors), (1, line))

    def test_refused(self) -> None:
        """A server that does not run is one line on the standard error."""
        status, output, errors = self.check("127.0.0.1:1")
        self.assertEqual((status, output), (1, ""))
        self.assertEqual(
            errors,
            "echoproto health: 127.0.0.1:1: Connection refused; is the server running with "
            "--status, and is this the URL of its status listener?\n",
        )

    def test_remedies(self) -> None:
        """Every usual error has its remedy."""
        for error, remedy in (
            (PermissionError(13, "Permission denied"), "denied; this user needs write permission"),
            (socket.gaierror(-2, "unknown"), "unknown; check the name of the host"),
            (OSError(113, "No route to host"), "No route to host"),
        ):
            with mock.patch.object(healthcheck, "_connect", side_effect=error):
                self.assertIn(remedy, self.check("9100")[2])

    def test_notHTTP(self) -> None:
        """An answer that is not HTTP, or endless, is a failure."""
        for answer in (b"", b"hello", b"hello world", b"x" * 3 * MAX_ANSWER):
            status, _, errors = self.check(self.serving(answer))
            self.assertEqual(status, 1)
            self.assertIn("the answer is not HTTP", errors)

    def test_long(self) -> None:
        """Of a long answer only the beginning is read."""
        head = b"HTTP/1.0 200 OK\r\n\r\n"
        status, output, _ = self.check(self.serving(head + b"x" * 3 * MAX_ANSWER))
        self.assertEqual((status, output), (0, "x" * MAX_TEXT + "\n"))

    def test_echo(self) -> None:
        """An echo service, which does not close, is recognized by its first bytes."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        theirs.sendall(b"GET /healthz HTTP/1.0")
        with mock.patch.object(healthcheck, "_connect", return_value=ours):
            errors = self.check("9100")[2]
        self.assertIn("the answer is not HTTP; is the server running with --status", errors)

    def test_hangs(self) -> None:
        """A server that does not answer in time is a failure."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.patch(healthcheck, "CHECK_TIMEOUT", 0.05)
        status, _, errors = self.check(f"localhost:{listener.getsockname()[1]}")
        self.assertEqual(status, 1)
        self.assertIn(": timed out after 0.05 s; the server hangs, or a firewall", errors)

    def test_diskFull(self) -> None:
        """A healthy server is healthy also if that cannot be written."""
        url = self.serving(READY)
        with open("/dev/full", "w", encoding="utf-8") as output, redirect_stdout(output):
            self.assertEqual(checkHealth(url, False), 0)

    def test_invalid(self) -> None:
        """An invalid URL is reported with examples."""
        for url in ("", "lab", "http://lab", "https://lab:1", "lab:x", "0", "65536", "\u0661"):
            error = self.assertRaises(ValueError, checkHealth, url, False)
            self.assertIn(f"invalid URL {url!r} (examples: ", str(error))

    def test_addresses(self) -> None:
        """A port is one of this machine, and an IPv6 address is in brackets."""
        for url, address in (
            ("9100", ("127.0.0.1", 9100)),
            ("http://[::1]:9100/", ("::1", 9100)),
            ("lab:80/x", ("lab", 80)),
        ):
            with mock.patch.object(socket, "create_connection", side_effect=OSError("x")) as made:
                self.assertEqual(self.check(url)[0], 1)
            self.assertEqual(made.call_args[0][0], (address[0].encode(), address[1]))


class RunHealthCheckTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Words that are a check are run, with the default URL; others are left to click."""
        with mock.patch.object(healthcheck, "checkHealth", return_value=0) as check:
            self.assertEqual(runHealthCheck([]), 0)
            self.assertEqual(runHealthCheck(["9101", "--ready"]), 0)
            for words in (["--help"], ["1", "2"], ["-x"]):
                self.assertIsNone(runHealthCheck(words))
        self.assertEqual(
            [call[0] for call in check.call_args_list],
            [("http://127.0.0.1:9100", False), ("9101", True)],
        )
        self.assertIsNone(runHealthCheck(["lab"]))
