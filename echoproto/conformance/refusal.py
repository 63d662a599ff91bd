"""
The reason that the network reports for a missing datagram, which only a connected port receives.
"""

from __future__ import annotations

from contextlib import suppress

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.client.targets.udp import UDPTarget
from echoproto.conformance.event import Event

#: Seconds to wait for the report that a port is closed (ICMP).
REFUSAL_TIME = 1.0


async def refusalReason(clock: IReactorTime, target: UDPTarget, message: bytes) -> str:
    """Why a target returns no datagram, such as a closed port; empty if that is not reported."""
    probe = _ConnectedProbe(clock)
    channel = await target.open(probe)
    with suppress(OSError):
        channel.send(message)
        await probe.event.wait(REFUSAL_TIME)
    channel.close()
    return probe.reason


@implementer(IReplyReceiver)
class _ConnectedProbe:
    """Records the reason that the network reports for a missing answer, if it does."""

    reason = ""

    def __init__(self, clock: IReactorTime) -> None:
        self.event = Event(clock)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self.event.set()

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self.reason = reason
        self.event.set()
