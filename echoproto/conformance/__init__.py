"""
Checks of any echo server: does it keep RFC 862, and does it stay reliable whatever its clients do?

``result = await grade(reactor, "udp://lab1")``; ``result.failed`` (:mod:`.api`). Every check is a
function in :mod:`.checks` with the decorator ``@check``. Results and the rules of safety are pure;
the runner and the test clients have their clock passed in.
"""
