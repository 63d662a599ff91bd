"""
The running program: ``twistd echoproto`` and ``echoproto serve``.

What an operator wrote, pure:

========================= ======================================================
:mod:`.options`           the command line, and nothing else
:mod:`.parameters`        its options that take one value, as a table
:mod:`.values`            times, rates, counts and ports from text
:mod:`.descriptions`      listeners from text
:mod:`.layers`            TLS and PROXY headers of a listener
:mod:`.settings`          all of it as one value
========================= ======================================================

What is made of it:

========================= ======================================================
:mod:`.program`           the whole: listeners, signals, status, systemd
:mod:`.service`           opens the listeners, all or none; drains them
:mod:`.assembly`          builds what serves one listener
:mod:`.opening`           opens one listener on this machine, or says why not
:mod:`.sockets`           bound stream sockets, IPv4 and IPv6 apart
:mod:`.systemd`           sockets that systemd passed; telling it how we do
:mod:`.certificates`      certificates and keys, read again when asked
========================= ======================================================

How it is run as one process or several; only ``echoproto serve`` does:

========================= ======================================================
:mod:`.foreground`        one service in one process, from start to exit status
:mod:`.supervisor`        the program that has workers
:mod:`.held`              listening sockets that the supervisor holds for them
:mod:`.crew`              the worker processes, started and replaced
:mod:`.worker`            what runs in each
:mod:`.snapshots`         the sums of what they count
========================= ======================================================

What is seen of it:

========================= ======================================================
:mod:`.log`               the observer that writes log lines, and sums
:mod:`.jsonlog`           the same as JSON lines
:mod:`.counts`            the observer that counts
:mod:`.metrics`           the counts, for Prometheus
:mod:`.status`            health, readiness and metrics over HTTP
:mod:`.loopdelay`         by how much the reactor is late
:mod:`.histogram`         counts in buckets
========================= ======================================================

Nothing outside this folder imports it, save :mod:`echoproto.cli`, and the ``twistd`` plugin by name.
"""
