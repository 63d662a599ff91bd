from __future__ import annotations

import socket
from collections import Counter
from select import select
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.datagramadmission import DatagramAdmission
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import RecordingObserver
from echoproto.transports import udp
from echoproto.transports.datagramreactor import listenDatagrams
from echoproto.transports.serversocket import setServerOptions
from echoproto.transports.udp import DatagramPort


class EchoPromises:
    """
    What the echo service does with datagrams, on sockets of the loopback interface, where a
    datagram has arrived when it is sent. Run with batches and without.
    """

    batches: bool

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        test = cast(SynchronousTestCase, self)
        if not self.batches:
            test.patch(udp, "datagramBatch", lambda *_: None)

    def listening(self, interface: str = "127.0.0.1", **admission: Any) -> Any:
        """A port with the echo service, whose admission has these options."""
        self.admission = DatagramAdmission(self.clock.seconds, **admission)
        self.service = EchoDatagramProtocol(self.clock, self.observer, self.admission)
        port: Any = listenDatagrams(cast(Any, MemoryReactorClock()), 0, self.service, interface)
        cast(SynchronousTestCase, self).addCleanup(lambda: port.connected and port.connectionLost())
        cast(SynchronousTestCase, self).assertEqual(port._batches is not None, self.batches)
        return port

    def turn(self, port: Any) -> None:
        """A turn of a port that is busy, or not."""
        port._isBusy = self.batches
        port.doRead()

    def client(self, interface: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM)
        cast(SynchronousTestCase, self).addCleanup(made.close)
        made.setblocking(False)
        made.bind((interface, 0))
        return made

    def received(self, client: socket.socket) -> list[bytes]:
        """Everything that has arrived."""
        found: list[bytes] = []
        while select([client], [], [], 0)[0]:
            found.append(client.recv(70_000))
        return found

    def test_sizes(self: Any) -> None:
        """Datagrams of every size are echoed whole, in order, on both families."""
        sizes = (0, 1, 1472, 2049, 8193, 65_507)
        for interface in ("127.0.0.1", "0.0.0.0", "::1", "::"):
            host = "::1" if ":" in interface else "127.0.0.1"
            port, client = self.listening(interface), self.client(host)
            for _ in range(2):
                texts = [bytes([size % 251]) * size for size in sizes]
                for text in texts:
                    client.sendto(text, (host, port.getHost().port))
                for _ in sizes:
                    self.turn(port)
                self.assertEqual(self.received(client), texts, interface)
            totals = self.service.totals()
            counts = (totals.received, totals.answered, totals.bytesReceived, totals.bytesSent)
            self.assertEqual(counts, (12, 12, 2 * sum(sizes), 2 * sum(sizes)))

    def test_replySources(self: Any) -> None:
        """On every address, each datagram is answered from the one that it was sent to."""
        port, client = self.listening("0.0.0.0"), self.client()
        hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.2", "127.3.2.1", "127.0.0.1"]
        for host in hosts:
            client.sendto(host.encode(), (host, port.getHost().port))
        self.turn(port)
        replies = [client.recvfrom(100) for _ in hosts]
        self.assertEqual(
            [(text.decode(), source[0]) for text, source in replies],
            [(host, host) for host in hosts],
        )

    def test_broadcast(self: Any) -> None:
        """A datagram to a broadcast address is not answered, and counted as an error."""
        port, client = self.listening("0.0.0.0"), self.client()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for host in ("127.255.255.255", "127.0.0.1", "127.255.255.255"):
            client.sendto(host.encode(), (host, port.getHost().port))
        self.turn(port)
        self.assertEqual(self.received(client), [b"127.0.0.1"])
        totals = self.service.totals()
        self.assertEqual((totals.received, totals.errors), (1, {"receive sent to a group": 2}))

    def test_mapped(self: Any) -> None:
        """IPv4 on a socket of IPv6 is answered from its address, within the rate of IPv4."""
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setblocking(False)
        made.bind(("::", 0))
        setServerOptions(made)
        self.admission = DatagramAdmission(self.clock.seconds, rate=2.0)
        service = EchoDatagramProtocol(self.clock, admission=self.admission)
        adopt = cast(Any, DatagramPort)._fromListeningDescriptor
        port = adopt(MemoryReactorClock(), made.fileno(), made.family, service, MAX_IPV6_DATAGRAM)
        port.startListening()
        self.addCleanup(port.connectionLost)
        self.assertEqual(port._batches is not None, self.batches)
        client = self.client()
        client.connect(("127.0.0.2", made.getsockname()[1]))
        for text in (b"1", b"2", b"3"):
            client.send(text)
        self.turn(port)
        self.assertEqual(self.received(client), [b"1", b"2"])
        self.assertIs(self.admission.refusal("127.0.0.1", 40_000), Refusal.RATE)

    def test_refused(self: Any) -> None:
        """Refused source ports, our own ports and denied networks are not answered, but counted."""
        looping, own, good = (self.client() for _ in range(3))
        denied = self.client("127.0.0.9")
        port = self.listening(
            refusedPorts=[looping.getsockname()[1]], networks=AddressFilter(deny=["127.0.0.9"])
        )
        good.sendto(b"0", port.socket.getsockname())
        own.sendto(b"before", port.socket.getsockname())
        self.turn(port)
        self.admission.addOwnPort(own.getsockname()[1])
        for client in (looping, good, own, denied, good):
            client.sendto(b"x", port.socket.getsockname())
        self.turn(port)
        self.assertEqual([self.received(c) for c in (looping, denied)], [[], []])
        self.assertEqual([self.received(c) for c in (own, good)], [[b"before"], [b"0", b"x", b"x"]])
        refused = {
            Refusal.LOOPING_PORT.value: 1,
            Refusal.OWN_PORT.value: 1,
            Refusal.DENIED.value: 1,
        }
        self.assertEqual(+Counter(self.service.totals().refused), refused)

    def test_rate(self: Any) -> None:
        """A source has one rate for all its ports, and other sources have theirs."""
        port = self.listening(rate=3.0)
        one, same, other = self.client(), self.client(), self.client("127.0.0.2")
        for _ in range(2):
            for client in (one, same, one, same, other):
                client.sendto(b"x", port.socket.getsockname())
            self.turn(port)
            self.assertEqual([len(self.received(c)) for c in (one, same, other)], [2, 1, 1])
            self.clock.advance(1)
        self.assertEqual(+Counter(self.service.totals().refused), {Refusal.RATE.value: 2})

    def test_noLimit(self: Any) -> None:
        """Without a limit of the rate all datagrams are answered."""
        port, client = self.listening(rate=0), self.client()
        for _ in range(100):
            client.sendto(b"x", port.socket.getsockname())
        for _ in range(4):
            self.turn(port)
        self.assertEqual(len(self.received(client)), 100)

    def test_heldUp(self: Any) -> None:
        """Datagrams that arrived while the process was held up are answered in the next turns."""
        port, client = self.listening(), self.client()
        texts = [b"%d" % number for number in range(150)]
        for text in texts:
            client.sendto(text, port.socket.getsockname())
        self.turn(port)
        first = self.received(client)
        self.assertTrue(0 < len(first) < len(texts))
        for _ in range(5):
            self.turn(port)
        self.assertEqual(first + self.received(client), texts)

    def test_closedClient(self: Any) -> None:
        """A client that is gone is an error of the network, and the next one is answered."""
        port, gone, client = self.listening(), self.client(), self.client()
        for made in (gone, client):
            made.sendto(b"x", port.socket.getsockname())
        gone.close()
        self.turn(port)
        client.sendto(b"y", port.socket.getsockname())
        self.turn(port)
        self.assertEqual(self.received(client), [b"x", b"y"])

    def test_dropped(self: Any) -> None:
        """Datagrams for which the kernel had no room are counted, also in the totals at the end."""
        port, client = self.listening(), self.client()
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(100):
            client.sendto(bytes(1000), port.socket.getsockname())
        for _ in range(5):
            self.turn(port)
        totals = self.service.totals()
        self.assertGreater(totals.dropped, 0)
        self.assertEqual(totals.received + totals.dropped, 100)
        port.connectionLost()
        self.assertEqual((self.observer.totals, self.service.totals()), ([totals], totals))
