"""
Measurements of any echo server: round trips, loss, order and integrity, as values.

Programs call :mod:`.api`. Each measurement is a package: :mod:`.ping`, :mod:`.load` and
:mod:`.verify`; :mod:`.latency`, :mod:`.intervals` and :mod:`.assertions` serve all of them. Only
the pinger, the load generator and the verifier know a reactor; the rest is pure.

Replies are matched in several places, as each needs another answer.
:mod:`echoproto.client.matching` gives a program one outcome per message. :mod:`.ping.statistics`
also recognizes late, duplicate and foreign probes however old, and therefore keeps no probe but
makes it again (:mod:`.ping.payload`). :mod:`.load.connections` and :mod:`.load.datagrams` count
only right and wrong, in as few instructions as possible. :mod:`.verify.integrity` resumes after a
fault in an endless stream. :mod:`echoproto.conformance.streamclient` stops at the first wrong byte.
"""
