"""
The health check of a server: one request to its status listener.

It imports neither Twisted nor click, nor what it can do without; :mod:`.entry` gives the reason.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from time import monotonic

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

#: The status listener that the pages use.
DEFAULT_URL = "http://127.0.0.1:9100"

#: Seconds for the whole check.
CHECK_TIMEOUT = 5.0

#: Bytes of an answer that are read; those of a status listener have some hundred.
MAX_ANSWER = 10_000

#: Characters of it that are shown.
MAX_TEXT = 200


def runHealthCheck(words: Sequence[str]) -> int | None:
    """
    Run the command ``echoproto health``.

    :param words: the words after ``health``.
    :return: the exit status; ``None`` for anything but a check, such as ``--help`` or a mistake,
        which the click command handles.
    """
    urls = [word for word in words if word != "--ready"]
    if len(urls) > 1 or any(url.startswith("-") for url in urls):
        return None
    try:
        return checkHealth(urls[0] if urls else DEFAULT_URL, "--ready" in words)
    except ValueError:
        return None


def checkHealth(url: str, ready: bool) -> int:
    """
    Check a server, and print one line.

    :param url: its status listener: ``http://HOST:PORT``, with a path or without, ``HOST:PORT``, a
        port, or ``unix:PATH``.
    :param ready: whether to ask if new clients are served, instead of whether the server runs.
    :return: the exit status: 0 if so, otherwise 1.
    :raise ValueError: the URL is invalid.
    """
    address, path = _parse(url)
    try:
        code, text = _fetch(address, path or ("/readyz" if ready else "/healthz"))
    except OSError as error:
        reason = f"{error.strerror or error}{_remedy(error)}"
        print(f"echoproto health: {ascii(url)[1:-1]}: {reason}", file=sys.stderr)
        return 1
    try:
        print(text if code == "200" else f"echoproto health: {url}: {code} {text}", flush=True)
    except OSError:
        # What matters is the status, also if the text cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if code == "200" else 1


def _remedy(error: OSError) -> str:
    """The remedy of an error, after its cause; empty if none is known."""
    if isinstance(error, TimeoutError):
        return f" after {CHECK_TIMEOUT:g} s; the server hangs, or a firewall drops the request"
    if isinstance(error, socket.gaierror):
        return "; check the name of the host"
    if isinstance(error, PermissionError):
        return "; this user needs write permission for the socket"
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)) or error.errno is None:
        return "; is the server running with --status, and is this the URL of its status listener?"
    return ""


def _parse(url: str) -> tuple[str | tuple[str, int], str]:
    """The address of a URL, and its path, which may be empty."""
    if url.startswith("unix:"):
        return url[len("unix:") :], ""
    place, slash, path = url.removeprefix("http://").partition("/")
    host, _, port = place.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"invalid URL {url!r} (examples: {DEFAULT_URL}, 9100, unix:/run/x)")
    return (host.strip("[]") or "127.0.0.1", int(port)), f"{slash}{path}".rstrip("/")


def _fetch(address: str | tuple[str, int], path: str) -> tuple[str, str]:
    """The status code and the first line of a page."""
    end = monotonic() + CHECK_TIMEOUT
    answer = b""
    with _connect(address) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        while len(answer) < MAX_ANSWER:
            connection.settimeout(max(end - monotonic(), 0.001))
            piece = connection.recv(MAX_ANSWER)
            if not piece:
                break
            answer += piece
            if not b"HTTP/".startswith(answer[:5]):
                # An echo service, for example, would keep the connection open.
                break
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.decode("ascii", "replace").split()
    if len(words) < 2 or not words[0].startswith("HTTP/"):
        raise OSError("the answer is not HTTP")
    lines = body.decode("latin-1").splitlines()
    return _printable(words[1]), _printable(lines[0] if lines else "")


def _printable(text: str) -> str:
    """The beginning of a text without characters that change a terminal."""
    return ascii(text[:MAX_TEXT])[1:-1]


def _connect(address: str | tuple[str, int]) -> socket.socket:
    if not isinstance(address, str):
        # As bytes, since Python would import a codec for a name in text.
        host: Any = address[0].encode()
        return socket.create_connection((host, address[1]), CHECK_TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(CHECK_TIMEOUT)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
