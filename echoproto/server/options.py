"""
The options of ``twistd echoproto`` and the service that they ask for.

Loaded by ``twistd`` by name when the command is run; nothing imports it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import twisted
from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.python.usage import Options as UsageOptions

import echoproto
from echoproto.admission import DATAGRAM_RATE
from echoproto.errors import CannotStart
from echoproto.greeting import SERVER_GREETING
from echoproto.server.descriptions import Listener, listenersFor
from echoproto.server.service import EchoprotoService

#: Where echo listens unless told otherwise.
DEFAULT_PORT = "12345"

#: The longest reply that an IPv4 datagram holds.
LONGEST_GREETING = 65_507

_EXAMPLES = """
LISTENER is a port number, for TCP and UDP on IPv4 and IPv6, or an endpoint
description: tcp:7:interface=127.0.0.1, tcp6:7, udp:7:interface=127.0.0.1,
unix:/run/echo.sock, systemd:domain=INET:index=0, tls:CERTIFICATES:7 (needs
Twisted 26.4; IPv6 unless interface=0.0.0.0 is given).

Examples:
  twistd -n echoproto                         echo on port 12345
  twistd -n echoproto -p 7 --greet 7007       both services; low ports need root
  twistd -n echoproto -p 7 --interface ::1    echo on one address
  twistd -n echoproto -p unix:/tmp/echo.sock  echo on a UNIX socket
"""


class Options(UsageOptions):
    """The command line of ``twistd echoproto``."""

    synopsis = "[options]"
    longdesc = "Answers echo (RFC 862) and greeting on TCP and UDP until stopped by a signal."

    optFlags: ClassVar = [["no-echo", None, "Serve no echo unless --port is given."]]

    optParameters: ClassVar = [
        [
            "greeting",
            None,
            SERVER_GREETING.decode(),
            "The text that the greeting service answers. A UDP request that is shorter gets no answer.",
        ],
        [
            "datagram-rate",
            None,
            DATAGRAM_RATE,
            "Datagrams per second that one source may have answered, and as many at once; 0 for no limit.",
        ],
    ]

    def __init__(self) -> None:
        UsageOptions.__init__(self)
        self._ports: list[str] = []
        self._greets: list[str] = []
        self._interfaces: list[str] = []
        #: The listeners that each option asks for; complete once they are parsed.
        self.groups: list[list[Listener]] = []
        self.greeting = SERVER_GREETING
        self.datagramRate = DATAGRAM_RATE

    def opt_port(self, listener: str) -> None:
        """Listen for echo on LISTENER; may be repeated. [default: 12345]"""
        self._ports.append(listener)

    opt_p = opt_port

    def opt_greet(self, listener: str) -> None:
        """Listen for greeting on LISTENER; may be repeated. Off unless given."""
        self._greets.append(listener)

    opt_g = opt_greet

    def opt_interface(self, address: str) -> None:
        """Numeric address that port numbers are narrowed to; may be repeated. [default: every address]"""
        self._interfaces.append(address)

    def opt_version(self) -> None:
        """Print the versions of echoproto and Twisted, then exit."""
        print(f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """The options, then what a LISTENER is, and examples."""
        return f"{super().getUsage(width)}{_EXAMPLES}"

    def postOptions(self) -> None:
        """
        Check what was given.

        :raise CannotStart: something is wrong. Not a ``UsageError``: ``twistd`` would print all the
            options first, and the line that matters last.
        """
        for address in self._interfaces:
            if not isIPAddress(address) and not isIPv6Address(address):
                raise CannotStart(f"--interface {address!r}: not a numeric IPv4 or IPv6 address")
        ports = self._ports or ([] if self["no-echo"] else [DEFAULT_PORT])
        self._addGroups("echo", "--port", ports)
        self._addGroups("greeting", "--greet", self._greets)
        if not self.groups:
            raise CannotStart("nothing to serve: give --port or --greet, or leave out --no-echo")
        self.greeting = self._checkedGreeting(self["greeting"])
        self.datagramRate = self._checkedRate(self["datagram-rate"])

    def _addGroups(self, service: str, option: str, texts: list[str]) -> None:
        for text in texts:
            try:
                self.groups.append(listenersFor(service, text, tuple(self._interfaces)))
            except ValueError as error:
                raise CannotStart(f"{option}: {error}") from error

    def _checkedGreeting(self, text: str) -> bytes:
        greeting = text.encode("utf-8", "surrogateescape")
        if not 0 < len(greeting) <= LONGEST_GREETING:
            raise CannotStart(
                f"--greeting: {len(greeting)} bytes; give 1 to {LONGEST_GREETING}, what a datagram holds"
            )
        return greeting

    def _checkedRate(self, text: str | float) -> float:
        try:
            rate = float(text)
        except ValueError:
            rate = -1.0
        if not 0 <= rate < float("inf"):
            raise CannotStart(
                f"--datagram-rate {text!r}: not a number of datagrams per second, 0 or more"
            )
        return rate


def makeService(options: Options) -> IService:
    """The service that parsed ``options`` ask for; called by ``twistd``."""
    # Here and not above: importing the reactor installs it, and twistd --reactor chooses it first.
    from twisted.internet import reactor

    service: Any = EchoprotoService(reactor, options.groups, options.greeting, options.datagramRate)
    return IService(service)
