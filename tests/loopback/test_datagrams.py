"""The behaviour of the kernel and ``twistd`` with datagrams."""

from __future__ import annotations

import os
import socket
import struct
import sys
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING
from tests.loopback.namespace import inNamespace
from tests.loopback.program import Program, datagramSocket

LOOPING_PORTS = (0, 7, 9, 11, 13, 15, 17, 19, 37)


def exchanged(address: tuple[str, int], data: bytes) -> bytes:
    """Exchange a datagram on a connected socket, which receives only from that address."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with datagramSocket(family) as client:
        client.connect(address)
        client.send(data)
        return client.recv(70_000)


def rawSocket() -> socket.socket:
    """Make a socket that sends datagrams with a chosen source address."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError:
        raise SkipTest("raw sockets need root") from None


def forged(source: tuple[str, int], port: int, data: bytes, host: str = "127.0.0.1") -> bytes:
    """An IPv4 packet to ``port`` on a host; the kernel fills in zeros (RFC 791, RFC 768)."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(host)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    return header + struct.pack("!HHHH", source[1], port, 8 + len(data), 0) + data


class EchoTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        """Datagrams of every size are echoed completely, over IPv4 and IPv6."""
        with Program("-p", "0") as program:
            for family in (socket.AF_INET, socket.AF_INET6):
                address = program.address("echo", "udp", family)
                for size in (0, 1, 1472, 2049, 4097, 8193, 32_768, 65_507):
                    data = os.urandom(size)
                    self.assertEqual(exchanged(address, data), data, (family, size))

    def test_greeting(self) -> None:
        """The greeting is answered and logged, over IPv4 and IPv6."""
        with Program("--no-echo", "-g", "0") as program:
            for family in (socket.AF_INET, socket.AF_INET6):
                address = program.address("greeting", "udp", family)
                self.assertEqual(exchanged(address, CLIENT_GREETING), SERVER_GREETING)
            program.stop()
        for host in ("127.0.0.1", r"\[::1\]"):
            # Clients of another program that had this port before may send, too.
            said = rf"from {host}:\d+ said: Hello, server! This is the client\."
            self.assertRegex("".join(program.log), said)


class ReplySourceTests(SynchronousTestCase):
    def test_secondAddressIPv4(self) -> None:
        """
        On the wildcard address, a datagram to a second address is answered from there, also if it
        is delayed on purpose.
        """
        for options in ([], ["--fault", "delay=1ms"]):
            with Program("-p", "0", *options) as program:
                _, port = program.address("echo", "udp")
                for host in ("127.0.0.1", "127.0.0.2", "127.3.2.1"):
                    self.assertEqual(exchanged((host, port), b"hello"), b"hello")

    def test_secondAddressIPv6(self) -> None:
        """The same over IPv6, in a network namespace with two addresses."""
        script = (
            "ip address add 2001:db8::1/128 dev lo nodad && "
            "ip address add 2001:db8::2/128 dev lo nodad"
        )
        self.assertEqual(inNamespace(script, __name__, "twoAddresses"), "answered from each\n")


class FullQueueTests(SynchronousTestCase):
    def test_absentNeighbour(self) -> None:
        """
        Replies to a host of the own link that does not exist, which wait for its Ethernet address,
        do not fill the send buffer: others are answered.
        """
        script = (
            "ip link add name near type veth peer name far && ip link set far up && "
            "ip address add 192.0.2.1/24 dev near && ip link set near up && "
            "for filter in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $filter; done"
        )
        self.assertEqual(inNamespace(script, __name__, "absentNeighbour"), "answered\n")


class LoopTests(SynchronousTestCase):
    def test_refusedSources(self) -> None:
        """Datagrams from looping ports, own ports, broadcast and multicast are not answered."""
        with rawSocket() as raw, Program("-p", "0", "-g", "0", listeners=8) as program:
            echo, greeting = (program.address(name, "udp") for name in ("echo", "greeting"))
            for port in (*LOOPING_PORTS, echo[1], greeting[1]):
                raw.sendto(forged(("127.0.0.1", port), echo[1], b"loop"), echo)
            for host in ("255.255.255.255", "224.0.0.1"):
                raw.sendto(forged((host, 40_000), echo[1], b"loop"), echo)
            self.assertEqual(exchanged(echo, b"alive"), b"alive")
            program.stop()
        place = f"echo on udp 0.0.0.0:{echo[1]}"
        [line] = [line for line in program.log if f"{place} closed" in line]
        self.assertIn(
            "14 datagrams in, 1 answered; refused: 9 source port could loop, "
            "2 source address is not one host, 2 source port is our own; errors: none",
            line,
        )


def twoAddresses() -> None:
    """Run by a test above, inside a namespace."""
    with Program("-p", "0") as program:
        _, port = program.address("echo", "udp", socket.AF_INET6)
        for host in ("2001:db8::1", "2001:db8::2", "::1"):
            if exchanged((host, port), b"hello") != b"hello":
                raise SystemExit(f"{host} did not echo")
    print("answered from each")


def absentNeighbour() -> None:
    """Run by a test above, inside a namespace."""
    with rawSocket() as raw, Program("-p", "0", "--datagram-rate", "0") as program:
        _, port = program.address("echo", "udp")
        forgery = forged(("192.0.2.77", 40_000), port, b"forged", "192.0.2.1")
        # As many at once as the receive buffer holds, in all three times the default send buffer.
        for _ in range(10):
            for _ in range(100):
                raw.sendto(forgery, ("192.0.2.1", port))
            if exchanged(("127.0.0.1", port), b"hello") != b"hello":
                raise SystemExit("not answered")
    print("answered")


if __name__ == "__main__":
    {"twoAddresses": twoAddresses, "absentNeighbour": absentNeighbour}[sys.argv[1]]()
