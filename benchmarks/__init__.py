"""
Measures the CPU time of an echo and other costs, beside other servers: ``python -m benchmarks``.

==================== ===========================================================
:mod:`.__main__`     the command
:mod:`.rows`         the measurements of servers, and the promised ratios
:mod:`.clientrows`   the measurements of our client
:mod:`.competitors`  the servers, and the command that starts each
:mod:`.processes`    servers and load generators, pinned to different processors
:mod:`.build`        compiles the programs in C and Go, and makes a certificate
:mod:`.report`       medians, ratios and the page
:mod:`.plot`         the figure of the page
:mod:`.profile`      a profile of our server, by function
==================== ===========================================================

``load.c`` is the load generator; ``servers/`` and ``clients/`` have the other programs.
"""
