"""
Start a server, exchange one echo on each carrier, and stop it.

``echo_once.py STATUS COMMAND``: STATUS is the exit status that the server must have.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys

LISTENERS = 5

status, *command = sys.argv[1:]
running = subprocess.Popen(
    [*command, "-p", "0", "-p", "unix:echo.sock"], stdout=subprocess.PIPE, text=True
)
assert running.stdout is not None
try:
    found = []
    while len(found) < LISTENERS:
        line = running.stdout.readline()
        if not line:
            sys.exit("the server did not start")
        found += re.findall(r"echo is listening on (\w+) (?:(.*):(\d+)|(.+))", line)
    for carrier, host, port, path in found:
        family = socket.AF_UNIX if path else socket.AF_INET6 if "[" in host else socket.AF_INET
        kind = socket.SOCK_DGRAM if carrier == "udp" else socket.SOCK_STREAM
        with socket.socket(family, kind) as client:
            client.settimeout(10)
            client.connect(path or ("::1" if "[" in host else "127.0.0.1", int(port)))
            client.send(b"hello")
            if client.recv(10) != b"hello":
                sys.exit(f"no echo on {carrier}")
finally:
    running.terminate()
if running.wait(10) != int(status):
    sys.exit(f"the server exited with {running.returncode}")
