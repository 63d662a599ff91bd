"""
The client's side of a connection: :mod:`.targets` leads to any echo server, and the modules here
are clients for programs: echo exchanges and greetings, as Deferreds. Clock and reactor are
parameters.

=================== ===========================================================
:mod:`.stream`      :func:`~.stream.connectEcho`
:mod:`.datagram`    :func:`~.datagram.connectEchoDatagram`
:mod:`.greeting`    :func:`~.greeting.greet`, and the same over datagrams
:mod:`.exchange`    one message, its Deferred and its time limit
:mod:`.matching`    which reply belongs to which message, and whether it is right
:mod:`.timelimit`   a time limit for any Deferred
:mod:`.measurement` the interface of all that measures a target
=================== ===========================================================
"""
