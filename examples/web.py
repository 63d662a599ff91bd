"""
A web server of Twisted on the direct reactor. It needs Linux.

    python examples/web.py tcp:8080:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from echoproto.reactors import direct

# Before the first import of the reactor.
direct.install()

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site


class Page(Resource):
    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return f"served by {type(reactor).__name__}\n".encode()


async def main(reactor: object, endpoint: str) -> None:
    port = await serverFromString(reactor, endpoint).listen(Site(Page()))
    print("listening on port", port.getHost().port, flush=True)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:8080:interface=127.0.0.1"])
