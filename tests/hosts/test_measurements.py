"""Measurements through a wire that loses, doubles and reorders packets: they find what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.figures import Figures
from tests.hosts.line import Impairment
from tests.hosts.namespaces import Host
from tests.hosts.wire import Wire
from tests.loopback.program import PATIENCE

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(3 * PATIENCE)]

#: Impairments of both directions. What is held back is overtaken by four probes.
IMPAIRMENTS = {
    "1 % loss": Impairment(loss=0.01),
    "5 % loss": Impairment(loss=0.05),
    "1 % duplicates": Impairment(duplicates=0.01),
    "1 % reordered": Impairment(reordering=0.01),
    "20 ms, with all of these": Impairment(
        delay=0.02, jitter=0.002, loss=0.01, duplicates=0.01, reordering=0.01
    ),
}

PROBES = 2000

#: Bytes of the headers of IPv4 and UDP.
HEADERS = 28


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """A client and a server, which serves without limits."""
    options = ("--datagram-rate", "0", "--port", "tcp:12345", "--port", "udp:12345")
    with Host() as client, Host() as server, server.serve(*options):
        yield client, server


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_ping(name: str, hosts: tuple[Host, Host], figures: Figures) -> None:
    """``ping`` reports the loss, duplicates and reordering of the wire, no more and no less."""
    client, _ = hosts
    with Wire(*hosts, IMPAIRMENTS[name]) as wire:
        options = ("-c", str(PROBES), "-i", "5ms", "-W", "10s")
        [found] = client.measure("ping", *options, f"udp://{wire.far}").result()["targets"]
    asRecorded = fates(wire)
    asMeasured = {kind: found[kind] for kind in asRecorded}
    assert asMeasured == asRecorded
    assert (found["corrupt"], found["foreign"], found["late"], found["dropped"]) == (0, 0, 0, 0)
    inWire = 2 * (IMPAIRMENTS[name].delay - IMPAIRMENTS[name].jitter)
    assert found["rtt"]["min_ns"] >= inWire * 1e9
    counts = ", ".join(f"{count} {kind}" for kind, count in asMeasured.items())
    figures.add(
        "`ping` through a wire",
        f"{name}: {counts}, median {found['rtt']['p50_ns'] / 1e6:.1f} ms",
    )


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_load(name: str, hosts: tuple[Host, Host], figures: Figures) -> None:
    """``load`` over UDP reports the loss and the duplicates of the wire, too."""
    client, _ = hosts
    with Wire(*hosts, IMPAIRMENTS[name]) as wire:
        options = ("-c", str(PROBES), "--rate", "500", "-W", "10s")
        found = client.measure("load", *options, f"udp://{wire.far}").result()
    asRecorded = fates(wire)
    del asRecorded["reordered"]
    assert {kind: found[kind] for kind in asRecorded} == asRecorded
    assert (found["wrong"], found["dropped"]) == (0, 0)
    figures.add(
        "`load` over UDP through a wire",
        f"{name}: {found['lost']} of {found['sent']} lost, {found['duplicates']} duplicates",
    )


def fates(wire: Wire) -> dict[str, int]:
    """The counts of probes, as the record of the wire has them."""
    requests = [*wire.there.lost, *(delivery.data for delivery in wire.there.delivered)]
    replies = [delivery.data[HEADERS:] for delivery in wire.back.delivered]
    firsts = list(dict.fromkeys(replies))
    sent = len({request[HEADERS:] for request in requests})
    return {
        "sent": sent,
        "received": len(firsts),
        "lost": sent - len(firsts),
        "duplicates": len(replies) - len(firsts),
        "reordered": overtaken(wire, firsts),
    }


def overtaken(wire: Wire, firsts: list[bytes]) -> int:
    """The number of first replies that a reply to a later probe has preceded (RFC 4737)."""
    entries: dict[bytes, float] = {}
    for delivery in wire.there.delivered:
        entries.setdefault(delivery.data[HEADERS:], delivery.entered)
    latest, count = 0.0, 0
    for reply in firsts:
        count += entries[reply] < latest
        latest = max(latest, entries[reply])
    return count


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_verify(name: str, hosts: tuple[Host, Host], figures: Figures) -> None:
    """``verify`` finds every byte in its place, however often TCP had to send it."""
    client, _ = hosts
    impairment = IMPAIRMENTS[name]
    # The throughput of TCP falls with loss and delay, and grows with packets (RFC 5348 section 3).
    with Wire(*hosts, impairment, mtu=9000 if impairment.delay else 1500) as wire:
        found = client.measure("verify", "-W", f"{PATIENCE}", f"tcp://{wire.far}").result()
    assert (found["sent_bytes"], found["received_bytes"]) == (64 << 20, 64 << 20)
    assert (found["faults"], found["ending"]) == ([], "")
    packets = wire.there.entered + wire.back.entered
    lost = len(wire.there.lost) + len(wire.back.lost)
    seconds = f"{found['duration_ns'] / 1e9:.0f} s"
    figures.add(
        "`verify` through a wire",
        f"{name}: every byte in {seconds}, {lost} of {packets} packets lost",
    )
