"""
A battery of checks that grades any echo server: does it keep RFC 862, and does it go on whatever its clients do?

``result = await grade(reactor, "udp://lab1")``; ``result.failed``. Called by ``echoproto conformance``. All but
:mod:`.api` know no socket, and have their clock passed in; :mod:`.results` and :mod:`.safety` are pure.

==================== ==========================================================
:mod:`.api`        :func:`grade`
:mod:`.runner`       asks one check after the other
:mod:`.results`        what a check is, and what comes of it
:mod:`.waiting`          something that may come, awaited with patience
:mod:`.streamclient`          a connection that compares what comes with what was sent
:mod:`.checks.streams`       what is asked of every stream
:mod:`.checks.closing`       what is asked of its end
:mod:`.checks.backpressure`       what is asked for clients that read slowly, or never
:mod:`.checks.concurrency`        what is asked with many connections
:mod:`.udpclient`          datagrams, and whose replies they are
:mod:`.checks.datagrams`     what is asked of datagrams
:mod:`.checks.loops`         what could start a loop or a flood of them
:mod:`.safety`          of whom risky checks may be asked
:mod:`.suite`       every check, in order
==================== ==========================================================
"""
