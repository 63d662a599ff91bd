"""The plugin for ``twistd echoproto``; the package is imported only when it is run."""

from twisted.application.service import ServiceMaker

echoproto = ServiceMaker(
    "echoproto",
    "echoproto.server.commandline.service",
    "Echo (RFC 862) and greeting services over TCP and UDP.",
    "echoproto",
)
