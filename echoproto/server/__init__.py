"""
The running program: ``twistd echoproto`` and ``echoproto serve``.

What an operator wrote, pure:

========================= ======================================================
:mod:`.options`           the command line, and nothing else
:mod:`.parameters`        its options that take one value, as a table
:mod:`echoproto.units`            times, rates, counts and ports from text
:mod:`.config.listeners`      listeners from text
:mod:`.config.layers`            TLS and PROXY headers of a listener
:mod:`.config.settings`          all of it as one value
========================= ======================================================

What is made of it:

========================= ======================================================
:mod:`.application`           the whole: listeners, signals, status, systemd
:mod:`.listening`           opens the listeners, all or none; drains them
:mod:`.builder`          builds what serves one listener
:mod:`.ports`           opens one listener on this machine, or says why not
:mod:`.sockets`           bound stream sockets, IPv4 and IPv6 apart
:mod:`.systemd`           sockets that systemd passed; telling it how we do
:mod:`.certificates`      certificates and keys, read again when asked
========================= ======================================================

How it is run as one process or several; only ``echoproto serve`` does:

========================= ======================================================
:mod:`.runner`        one service in one process, from start to exit status
:mod:`.workers.supervisor`        the program that has workers
:mod:`.workers.sharedsockets`              listening sockets that the supervisor holds for them
:mod:`.workers.pool`              the worker processes, started and replaced
:mod:`.workers.worker`            what runs in each
:mod:`.workers.aggregate`         the sums of what they count
========================= ======================================================

What is seen of it:

========================= ======================================================
:mod:`.monitoring.log`               the observer that writes log lines, and sums
:mod:`.monitoring.jsonlog`           the same as JSON lines
:mod:`.monitoring.counters`            the observer that counts
:mod:`.monitoring.metrics`           the counts, for Prometheus
:mod:`.monitoring.status`            health, readiness and metrics over HTTP
:mod:`.monitoring.looplag`         by how much the reactor is late
:mod:`.monitoring.histogram`         counts in buckets
========================= ======================================================

Nothing outside this folder imports it, save :mod:`echoproto.cli`, and the ``twistd`` plugin by name.
"""
