"""
A battery of checks that grades any echo server: does it keep RFC 862, and does it go on whatever its clients do?

``result = await grade(reactor, "udp://lab1")``; ``result.failed``. Called by ``echoproto verify --suite``. All but
:mod:`.asking` know no socket, and have their clock passed in; :mod:`.grades` and :mod:`.risk` are pure.

==================== ==========================================================
:mod:`.asking`        :func:`grade`
:mod:`.grading`       asks one check after the other
:mod:`.grades`        what a check is, and what comes of it
:mod:`.news`          something that may come, awaited with patience
:mod:`.talk`          a connection that compares what comes with what was sent
:mod:`.streams`       what is asked of every stream
:mod:`.endings`       what is asked of its end
:mod:`.reading`       what is asked for clients that read slowly, or never
:mod:`.crowds`        what is asked with many connections
:mod:`.post`          datagrams, and whose replies they are
:mod:`.datagrams`     what is asked of datagrams
:mod:`.loops`         what could start a loop or a flood of them
:mod:`.risk`          of whom risky checks may be asked
:mod:`.battery`       every check, in order
==================== ==========================================================
"""
