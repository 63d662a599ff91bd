"""
What an echo costs, beside other servers, measured in one run: ``python -m benchmarks``.

================== ===========================================================
:mod:`.__main__`   the command
:mod:`.rows`       what is measured, and what is promised of it
:mod:`.clients`    the same of our own client
:mod:`.competitors` the servers, and how each is started
:mod:`.running`    a server that runs pinned to a processor, and what it uses
:mod:`.building`   compiles what needs it
:mod:`.report`     medians, ratios and the page
:mod:`.plot`       the picture
:mod:`.profile`    where our server's time goes, by function
================== ===========================================================

``load.c`` is the load, ``servers/`` has the competitors, ``clients/`` those of our client.
"""
