"""
What is asked of datagrams: that each comes back whole, once, and from where it was sent to.
"""

from __future__ import annotations

from ipaddress import ip_address

from echoproto.addresses import MAX_IPV4_DATAGRAM, MAX_IPV6_DATAGRAM, unmapped
from echoproto.conformance.results import Failed, toldBySize
from echoproto.conformance.streamclient import content
from echoproto.conformance.udpclient import DatagramTester, Reply

#: What fits into a frame of an Ethernet, one more than usual buffers have, and more than most have.
SIZES = (1, 1472, 2049, 4097, 8193, 32_768)

#: The longest payload there is, by the IP version: 65,535 less the headers (RFC 791, RFC 768), and without IPv6's (RFC 8200).
LONGEST = {4: MAX_IPV4_DATAGRAM, 6: MAX_IPV6_DATAGRAM}

#: Datagrams at once: less than half of what the usual buffer of a socket in Linux holds of such (rmem_default, 208 KiB).
PIPELINED = 100

#: A network may lose one in so many, or double it; loopback none.
ONE_IN = 10

#: Datagrams that are counted one by one.
COUNTED = 20

#: Seconds in which a second reply to the same datagram is awaited.
SECOND_REPLY = 0.5

#: The addresses of loopback at which a server is asked, beside the one that was given.
_NEIGHBOURS = ("127.0.0.1", "127.0.0.2")


async def answers(asked: DatagramTester) -> str:
    """A datagram comes back."""
    await asked.served()
    return ""


async def everyByte(asked: DatagramTester) -> str:
    """All values of a byte come back, in order and in none, and many of the same."""
    for message in (bytes(range(256)), content(1400), bytes(1000), b"\xff" * 1000):
        _same(message, await asked.exchange(message))
    return ""


async def empty(asked: DatagramTester) -> str:
    """An empty datagram comes back."""
    reply = await asked.exchange(b"")
    if reply is None and await asked.exchange(content(16)) is None:
        raise Failed("no reply, and from then on none to anything")
    _same(b"", reply)
    return ""


async def sizes(asked: DatagramTester) -> str:
    """Datagrams of any size come back whole, up to the longest there is."""
    faults: dict[int, str] = {}
    for size in (*SIZES, LONGEST[ip_address(asked.host.partition("%")[0]).version]):
        try:
            _same(content(size), await asked.exchange(content(size)))
        except Failed as failed:
            faults[size] = str(failed)
    if faults:
        raise Failed(toldBySize(faults))
    return ""


async def source(asked: DatagramTester) -> str:
    """A reply comes from the address that was asked, so that a client which is connected to it gets it."""
    answering = []
    for host in _addresses(asked):
        reply = await asked.exchange(content(16), host)
        if reply is None and host == asked.host:
            raise Failed("no reply")
        if reply is not None:
            if unmapped(reply.host) != unmapped(host):
                raise Failed(f"asked at {host} it answers from {reply.host}")
            answering.append(host)
    return f"asked at {' and '.join(answering)}"


def _addresses(asked: DatagramTester) -> list[str]:
    """Where to ask: on loopback a server that listens everywhere is reached at another address too."""
    more = _NEIGHBOURS if asked.near and unmapped(asked.host).version == 4 else ()
    return [asked.host, *(each for each in more if each != asked.host)][:2]


async def port(asked: DatagramTester) -> str:
    """A reply comes from the port that was asked."""
    reply = await asked.exchange(content(17))
    if reply is None:
        raise Failed("no reply")
    if reply.port != asked.port:
        raise Failed(f"asked at port {asked.port} it answers from port {reply.port}")
    return ""


async def once(asked: DatagramTester) -> str:
    """Each datagram comes back once."""
    post = await asked.pipeline(_messages(COUNTED))
    await asked.pause(SECOND_REPLY)
    if not post.count:
        raise Failed("no reply")
    extra = post.count - len({each.data for each in post.replies})
    if extra > _tolerated(asked, COUNTED):
        raise Failed(f"to {COUNTED} datagrams {post.count} replies came")
    return ""


async def pipelined(asked: DatagramTester) -> str:
    """Many datagrams at once all come back."""
    messages = _messages(PIPELINED)
    post = await asked.pipeline(messages)
    lost = len(set(messages) - {each.data for each in post.replies})
    if lost > _tolerated(asked, PIPELINED):
        raise Failed(f"of {PIPELINED} datagrams at once {lost} did not come back")
    return f"{lost} of {PIPELINED} were lost on the way" if lost else ""


def _messages(count: int) -> list[bytes]:
    return [content(64 + number) for number in range(count)]


def _tolerated(asked: DatagramTester, sent: int) -> int:
    return 0 if asked.near else sent // ONE_IN


def _same(message: bytes, reply: Reply | None) -> None:
    if reply is None:
        raise Failed("no reply")
    if reply.data == message:
        return
    if len(reply.data) != len(message):
        raise Failed(f"the reply has {len(reply.data)} bytes")
    raise Failed("the reply has other bytes")
