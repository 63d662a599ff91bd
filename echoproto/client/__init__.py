"""
The asking side: echo exchanges and greetings, as Deferreds.

Any echo server can be asked, not only ours. Everything returned can be awaited; the clock and
the reactor are passed in. What a reply must be is decided in :mod:`echoproto.client.matching`; the
modules here move bytes, keep time, and turn outcomes into results. The carriers and the
greeting share only an exchange, so each has a module of its own.

=================== ==========================================================
:mod:`.exchange`    one message, its Deferred and its time limit
:mod:`.stream`      :func:`connectEcho`
:mod:`.datagram`    :func:`connectEchoDatagram`
:mod:`.greeting`    :func:`greet`, and the same on datagrams
:mod:`echoproto.targets.target`     what is to be asked, as it is written
:mod:`echoproto.targets.resolver`   a host's numeric address
:mod:`echoproto.targets.endpoints`     from a target to what can be probed
:mod:`echoproto.targets.interfaces`       what a target is, and a channel to it
:mod:`echoproto.targets.stream`     roads for probes and streams, for :mod:`echoproto.measure`
:mod:`echoproto.targets.udp` a port that sees where each reply comes from
=================== ==========================================================
"""

from __future__ import annotations

from echoproto.client.datagram import EchoDatagramClient, connectEchoDatagram
from echoproto.client.greeting import greet
from echoproto.client.stream import EchoClient, connectEcho

__all__ = ["EchoClient", "EchoDatagramClient", "connectEcho", "connectEchoDatagram", "greet"]
