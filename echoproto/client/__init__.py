"""
Clients for programs: echo exchanges and greetings, as Deferreds.

They work with any echo server. Clock and reactor are parameters.

================ ===========================================================
:mod:`.stream`   :func:`connectEcho`
:mod:`.datagram` :func:`connectEchoDatagram`
:mod:`.greeting` :func:`greet`, and the same over datagrams
:mod:`.exchange` one message, its Deferred and its time limit
:mod:`.matching` which reply belongs to which message, and whether it is right
================ ===========================================================
"""

from __future__ import annotations

from echoproto.client.datagram import EchoDatagramClient, connectEchoDatagram
from echoproto.client.greeting import greet
from echoproto.client.stream import EchoClient, connectEcho

__all__ = ["EchoClient", "EchoDatagramClient", "connectEcho", "connectEchoDatagram", "greet"]
