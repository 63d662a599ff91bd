"""What ``--reactor=direct`` finds; the reactor is imported only when it is chosen."""

from twisted.application.reactors import Reactor

direct = Reactor(
    "direct",
    "echoproto.reactors.direct",
    "epoll(7), with reads and writes done at once (Linux)",
)
