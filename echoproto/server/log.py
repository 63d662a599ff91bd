"""
The observer that writes log lines: one for each greeting, one for each connection at its end, one for
each datagram listener when it is closed. What clients sent is shown escaped, never raw.

Called by the services through :class:`~echoproto.observer.IObserver`; knows no transport.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from zope.interface import implementer

from echoproto.observer import ConnectionSummary, DatagramTotals, IObserver
from echoproto.server.descriptions import hostPort


def escaped(data: bytes) -> str:
    """
    ``data`` as one line of printable text: UTF-8 where it is that, and a backslash escape for each control
    or format character, backslash and undecodable byte. Nothing in it can begin a new line, move a
    terminal's cursor or turn the direction of what stands beside it.
    """
    return "".join(map(_escapedCharacter, data.decode("utf-8", "surrogateescape")))


def _escapedCharacter(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")


def addressText(address: IAddress) -> str:
    """An address for people: host and port, or the path of a UNIX socket; its clients have none."""
    known: Any = address
    if hasattr(known, "port"):
        return hostPort(known.host, known.port)
    return escaped(known.name or b"unnamed")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"


@implementer(IObserver)
class LogObserver:
    """
    Writes what happens on one listener to a :class:`twisted.logger.Logger`.

    :param listener: how each line begins: service and place, such as ``echo on tcp 0.0.0.0:7``.
    :param log: where to; every event has ``listener`` and its figures as fields.
    """

    def __init__(self, listener: str, log: Logger) -> None:
        self._listener = listener
        self._log = log

    def connectionOpened(self, peer: IAddress) -> None:
        """No line: the one at the end says as much and more."""

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""
        self._log.info(
            "{listener} from {peer} {ending} after {seconds:.3f} s, "
            "{bytesReceived} bytes in, {bytesSent} bytes out",
            listener=self._listener,
            peer=addressText(summary.peer),
            ending=summary.ending.value,
            seconds=summary.seconds,
            bytesReceived=summary.bytesReceived,
            bytesSent=summary.bytesSent,
        )

    def greeted(self, peer: IAddress, received: bytes) -> None:
        """See :class:`IObserver`."""
        self._log.info(
            "{listener} from {peer} said: {said}",
            listener=self._listener,
            peer=addressText(peer),
            said=escaped(received),
        )

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """See :class:`IObserver`."""
        self._log.info(
            "{listener} closed: {received} datagrams in, {answered} answered; "
            "refused: {refused}; errors: {errors}",
            listener=self._listener,
            received=totals.received,
            answered=totals.answered,
            refused=_counted(dict(totals.refused)),
            errors=_counted(dict(totals.errors)),
        )
