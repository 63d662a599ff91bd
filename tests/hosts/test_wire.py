"""The wire between two hosts, and the switch between several."""

from __future__ import annotations

import sys

import pytest

from tests.hosts.line import Impairment
from tests.hosts.namespaces import Host, switched
from tests.hosts.wire import PERFECT, Wire
from tests.loopback.program import PATIENCE
from tests.loopback.test_operation import until

#: Sends numbered datagrams to an address, and prints those that another end has answered.
EXCHANGE = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[3]))
client.connect((sys.argv[1], int(sys.argv[2])))
for number in range(100):
    client.send(b"%d" % number)
print(*(client.recv(100).decode() for _ in range(int(sys.argv[4]))))
"""

pytestmark = pytest.mark.timeout(PATIENCE)


def datagrams(line: list[bytes]) -> list[bytes]:
    """The data of UDP packets."""
    return [packet[28:] for packet in line]


def test_delays() -> None:
    """Packets take their time, and the record says which, in both directions."""
    with Host() as client, Host() as server, server.serve("--port", "tcp:7", "--port", "udp:7"):
        with Wire(client, server, Impairment(delay=0.03), Impairment(delay=0.01)) as wire:
            exchanged = client.run(
                sys.executable, "-c", EXCHANGE, wire.far, "7", str(PATIENCE), "100"
            )
        assert exchanged.split() == [str(number) for number in range(100)]
        for line, delay in ((wire.there, 0.03), (wire.back, 0.01)):
            assert (line.entered, line.lost) == (100, [])
            assert datagrams([found.data for found in line.delivered]) == [
                b"%d" % number for number in range(100)
            ]
            assert min(found.left - found.entered for found in line.delivered) >= delay


def test_oneDirection() -> None:
    """A wire may lose packets in one direction only, and be mended while it is used."""
    with Host() as client, Host() as server, server.serve("--port", "udp:7"):
        with Wire(client, server, PERFECT, Impairment(loss=1)) as wire:
            client.run(sys.executable, "-c", EXCHANGE, wire.far, "7", "1", "0")
            until(lambda: len(wire.back.lost) == 100)
            wire.back.impairment = PERFECT
            client.run(sys.executable, "-c", EXCHANGE, wire.far, "7", str(PATIENCE), "100")
        assert (wire.there.entered, len(wire.back.delivered)) == (200, 100)


def test_switch() -> None:
    """Hosts at a switch reach one another by their addresses."""
    with switched(1, 11) as [client, server], server.serve("--port", "tcp:7"):
        client.run(
            sys.executable,
            "-c",
            f"import socket; socket.create_connection(('{server.address}', 7))",
        )
