"""The plugin for ``--reactor=direct``; the reactor is imported only when it is chosen."""

from twisted.application.reactors import Reactor

direct = Reactor(
    "direct",
    "echoproto.reactors.direct",
    "epoll(7) with less work for each message (Linux)",
)
