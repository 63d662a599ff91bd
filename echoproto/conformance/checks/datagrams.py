"""Checks of datagrams: each is returned whole, once, and from the address that it was sent to."""

from __future__ import annotations

from echoproto.addresses import unmapped
from echoproto.conformance.registry import UDP, check
from echoproto.conformance.results import Failed, faultsBySize
from echoproto.conformance.streamclient import content
from echoproto.conformance.udpclient import DatagramTester, Reply
from echoproto.protocols.datagram import maxDatagram

#: One byte, the payload of an Ethernet frame, and one more than common buffers hold; the longest
#: one is added.
SIZES = (1, 1472, 2049, 4097, 8193, 32_768)

#: Datagrams at once: less than half of what the default buffer of a Linux socket holds
#: (rmem_default, 208 KiB).
PIPELINED_DATAGRAMS = 100

#: A network may lose or duplicate one in this many; loopback none.
TOLERATED_ONE_IN = 10

#: Datagrams whose replies are counted.
COUNTED_DATAGRAMS = 20

#: Seconds to wait for a second reply to the same datagram.
SECOND_REPLY_TIMEOUT = 0.5

#: Loopback addresses that are tried besides the given one.
_LOOPBACK = ("127.0.0.1", "127.0.0.2")


@check("answers", UDP)
async def datagramAnswers(tester: DatagramTester) -> None:
    """A datagram is returned."""
    await tester.expectAnswer()


@check("all-byte-values", UDP)
async def datagramByteValues(tester: DatagramTester) -> None:
    """All byte values are returned, in order, at random and repeated."""
    for message in (bytes(range(256)), content(1400), bytes(1000), b"\xff" * 1000):
        _compare(message, await tester.exchange(message))


@check("empty-datagram", UDP, "RFC 768", last=True)
async def emptyDatagram(tester: DatagramTester) -> None:
    """An empty datagram is returned."""
    reply = await tester.exchange(b"")
    if reply is None and await tester.exchange(content(16)) is None:
        raise Failed("no reply, and none to any datagram after it")
    _compare(b"", reply)


@check("datagram-sizes", UDP, "RFC 862, RFC 768")
async def datagramSizes(tester: DatagramTester) -> None:
    """Datagrams of any size are returned whole, up to the longest possible."""
    faults: dict[int, str] = {}
    for size in (*SIZES, maxDatagram(tester.host)):
        try:
            _compare(content(size), await tester.exchange(content(size)))
        except Failed as failed:
            faults[size] = str(failed)
    if faults:
        raise Failed(faultsBySize(faults))


@check("reply-address", UDP, "RFC 1122 section 4.1.3.5")
async def replyAddress(tester: DatagramTester) -> str:
    """
    A reply leaves from the address that the datagram was sent to, so that connected clients receive
    it.
    """
    answering = []
    for host in _addresses(tester):
        reply = await tester.exchange(content(16), host)
        if reply is None and host == tester.host:
            raise Failed("no reply")
        if reply is not None:
            if unmapped(reply.host) != unmapped(host):
                raise Failed(f"the reply to {host} left from {reply.host}")
            answering.append(host)
    return f"sent to {' and '.join(answering)}"


def _addresses(tester: DatagramTester) -> list[str]:
    """
    The addresses to try: on loopback a server on the wildcard address answers at another one too.
    """
    more = _LOOPBACK if tester.isLocalIPv4 else ()
    return [tester.host, *(host for host in more if host != tester.host)][:2]


@check("reply-port", UDP)
async def replyPort(tester: DatagramTester) -> None:
    """A reply leaves from the port that the datagram was sent to."""
    reply = await tester.exchange(content(17))
    if reply is None:
        raise Failed("no reply")
    if reply.port != tester.port:
        raise Failed(f"the reply to port {tester.port} left from port {reply.port}")


@check("no-duplicates", UDP)
async def noDuplicates(tester: DatagramTester) -> None:
    """A datagram is returned once."""
    opened = await tester.pipeline(_messages(COUNTED_DATAGRAMS))
    await tester.pause(SECOND_REPLY_TIMEOUT)
    if not opened.count:
        raise Failed("no reply")
    repeated = opened.count - len(opened.distinct)
    if repeated > _tolerated(tester, COUNTED_DATAGRAMS):
        isMore = opened.count > COUNTED_DATAGRAMS
        detail = "" if isMore else f", of which {repeated} repeat another one"
        raise Failed(f"{opened.count} replies to {COUNTED_DATAGRAMS} datagrams{detail}")


@check("pipelining", UDP)
async def datagramPipelining(tester: DatagramTester) -> str | None:
    """Datagrams that are sent without waiting for replies are all returned."""
    messages = _messages(PIPELINED_DATAGRAMS)
    opened = await tester.pipeline(messages)
    lost = len(set(messages) - opened.distinct)
    reason = f"{lost} of {PIPELINED_DATAGRAMS} datagrams lost"
    if lost > _tolerated(tester, PIPELINED_DATAGRAMS):
        raise Failed(reason)
    return reason if lost else None


def _messages(count: int) -> list[bytes]:
    return [content(64 + number) for number in range(count)]


def _tolerated(tester: DatagramTester, sent: int) -> int:
    return 0 if tester.isLocal else sent // TOLERATED_ONE_IN


def _compare(message: bytes, reply: Reply | None) -> None:
    if reply is None:
        raise Failed("no reply")
    if reply.data == message:
        return
    if len(reply.data) != len(message):
        raise Failed(f"the reply has {len(reply.data)} bytes")
    raise Failed("the reply has other bytes")
