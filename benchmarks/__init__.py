"""
Measures the CPU time of an echo and other costs, beside other servers: ``python -m benchmarks``.

==================== ===========================================================
:mod:`.__main__`     the command
:mod:`.rows`         the table: what is measured, of whom, and what is promised
:mod:`.measures`     how a server or a client is measured
:mod:`.measurement`  rows and promises; rounds, ratios and verdicts
:mod:`.competitors`  the servers, and the command that starts each
:mod:`.processes`    servers and load generators, pinned to different processors
:mod:`.build`        compiles the programs in C and Go, and makes a certificate
:mod:`.report`       the results as text, as JSON and as the page
:mod:`.plot`         the figure of the page
:mod:`.profile`      a profile of our server, by function
==================== ===========================================================

``load.c`` is the load generator; ``servers/`` and ``clients/`` have the other programs.
"""
