"""Answering the datagrams of a port in batches, with the requests themselves."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from echoproto.transports.datagrambatch import DatagramBatch
from echoproto.transports.pktinfo import replyControl

#: Datagrams after which a turn of the reactor ends: it ends sooner if few were waiting. With the
#: batch that reaches it a turn takes as long as that of a port without batches.
DATAGRAMS_BEFORE_TURN_ENDS = 64


class BatchEcho:
    """
    Receives and answers batches: Python handles the sources and the sizes of the datagrams, and
    ancillary data that differ from those before.

    :param service: provides :class:`~echoproto.protocols.datagram.IDatagramEcho`.
    :param batch: the memory.
    :param errors: counts dropped datagrams, by fault.
    """

    # Any: an interface.
    def __init__(self, service: Any, batch: DatagramBatch, errors: Counter[str]) -> None:
        self._service = service
        self._batch = batch
        self._errors = errors
        # The ancillary data of the last datagram that could be answered, and that of its reply.
        self._control = b""
        self._reply = b""

    def takeTurn(self, descriptor: int) -> int:
        """
        Answer waiting datagrams, until a batch has fewer than two.

        :param descriptor: that of the socket.
        :return: the number of datagrams.
        :raise OSError: a receive failed.
        """
        received = 0
        while received < DATAGRAMS_BEFORE_TURN_ENDS:
            count = self._batch.receive(descriptor)
            # Usually all have the destination of those before.
            if self._batch.controls == self._control * count:
                self._answer(descriptor, 0, count)
            else:
                self._answerByDestination(descriptor, count)
            received += count
            if count < 2:
                break
        return received

    def _answerByDestination(self, descriptor: int, count: int) -> None:
        for control, run in groupby(range(count), self._batch.control):
            indexes = list(run)
            reply = replyControl(control)
            if reply is None:
                self._errors["receive sent to a group"] += len(indexes)
            else:
                self._control, self._reply = control, reply
                self._answer(descriptor, indexes[0], indexes[-1] + 1)

    def _answer(self, descriptor: int, start: int, end: int) -> None:
        """Answer the datagrams from ``start`` to ``end``, which have one destination."""
        batch, service = self._batch, self._service
        sizes = batch.sizes(start, end)
        size = sum(sizes)
        first = start
        for refused in (*service.admit(batch.sources(start, end), size), end - start):
            stop = start + refused
            while first < stop:
                try:
                    sent = batch.send(descriptor, first, stop, self._reply)
                except OSError as error:
                    service.sendFailed(error)
                    first += 1
                else:
                    isWhole = sent == end - start
                    service.sent(sent, size if isWhole else sum(sizes[first - start :][:sent]))
                    first += sent
            first = stop + 1
