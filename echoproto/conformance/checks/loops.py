"""
What could start a loop or a flood of datagrams, and so is asked only of who is ours.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from twisted.internet.error import CannotListenError

from echoproto.addresses import unmapped
from echoproto.conformance.results import Failed, Skipped
from echoproto.conformance.streamclient import content
from echoproto.conformance.udpclient import CheckSocket, DatagramTester

#: Ports of services that answer anything: echo (RFC 862) and chargen (RFC 864).
ANSWERING = (7, 19)

#: Datagrams of a burst: some times what the usual buffer of a socket in Linux holds.
BURST = 2000

#: So many at a time, so that the rest of the program goes on.
AT_ONCE = 100

#: On loopback we ask from here, where nobody else listens whose port it is on the other addresses.
_ELSEWHERE = "127.0.0.3"


async def echoPorts(asked: DatagramTester) -> str:
    """A datagram from the port of a service that answers anything is not answered: the two would never end."""
    posts: dict[int, CheckSocket] = {}
    for port in dict.fromkeys((*ANSWERING, asked.port)):
        with suppress(CannotListenError):
            posts[port] = asked.open(port, _from(asked))
    if not posts:
        raise Skipped(f"{_ports(ANSWERING)} are taken, or need root")
    for post in posts.values():
        post.send(content(32))
    await asked.pause(asked.patience)
    answered = [port for port, post in posts.items() if post.count]
    if answered:
        raise Failed(f"it answers datagrams from {_ports(answered)}")
    await asked.served()
    return f"asked from {_ports(posts)}"


def _from(asked: DatagramTester) -> str:
    return _ELSEWHERE if asked.near and unmapped(asked.host).version == 4 else ""


def _ports(ports: Collection[int]) -> str:
    word = "port" if len(ports) == 1 else "ports"
    return f"{word} {', '.join(map(str, ports))}"


async def burst(asked: DatagramTester) -> str:
    """After a burst of datagrams, of which it may lose some, the next is answered."""
    post = asked.open()
    for _ in range(BURST // AT_ONCE):
        for _ in range(AT_ONCE):
            # What our own kernel has no room for is part of the burst.
            with suppress(Failed):
                post.send(content(64))
        await asked.pause(0)
    await post.come(BURST, 1.0)
    await asked.served()
    return f"{post.count} of {BURST} came back"
