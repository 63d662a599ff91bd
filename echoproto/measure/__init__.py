"""
Measurements of any echo server: round trips, loss, order and integrity, as values.

Programs call :mod:`.api`. Each measurement is a package: :mod:`.ping`, :mod:`.load` and
:mod:`.verify`; :mod:`.latency`, :mod:`.intervals` and :mod:`.assertions` serve all of them. Only
the pinger, the load generator and the verifier know a reactor; the rest is pure.
"""
