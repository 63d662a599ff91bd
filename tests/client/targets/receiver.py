"""A receiver of replies that records them."""

from __future__ import annotations

from zope.interface import implementer

from echoproto.client.targets.interfaces import IReplyReceiver


@implementer(IReplyReceiver)
class RecordingReceiver:
    """Records replies and the reasons of lost connections."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.reasons: list[str] = []

    def replyReceived(self, reply: bytes) -> None:
        self.replies.append(reply)

    def connectionLost(self, reason: str) -> None:
        self.reasons.append(reason)
