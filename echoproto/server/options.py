"""
The options of ``twistd echoproto`` and the service that they ask for.

Loaded by ``twistd`` by name when the command is run; nothing imports it.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any, ClassVar

import twisted
from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.python.usage import Options as UsageOptions

import echoproto
from echoproto.addresses import AddressFilter, parseNetwork
from echoproto.errors import StartupError
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.application import EchoprotoService
from echoproto.server.certificates import TLSFiles
from echoproto.server.config.listeners import Listener, parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.parameters import PARAMETERS
from echoproto.server.systemd import PassedSocket, initialEnvironment, passedSockets

#: Where echo listens unless told otherwise.
DEFAULT_PORT = "12345"

#: Where the status listener is when only a port is given: nobody else's business.
STATUS_INTERFACE = "127.0.0.1"

_LISTENERS = """
LISTENER is a port number, for TCP and UDP on IPv4 and IPv6, or a description:
  tcp:7:interface=127.0.0.1  tcp6:7  udp:7:interface=127.0.0.1  unix:/run/echo
  tls:FOLDER:7               TLS with the .pem files in FOLDER (IPv6 unless
                             interface=0.0.0.0 is given)
  systemd:                   every socket that systemd passed; systemd:NAME
Stream descriptions also take
  tlsCert=FILE tlsKey=FILE tlsClientCA=FILE   TLS, mutual with the last; tls=no
  proxy=v1|v2|any trust=NET,NET               clients announced by a PROXY
                             header, from proxies in NET [loopback]
TIME is 30, 1.5s, 200ms, 10m or 2h; 0 for never. NET is 192.0.2.0/24 or an
address, 2001\\:db8\\:\\:/32 inside a description.
SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reads
the certificates again.
"""

_EXAMPLES = """
Examples:
  twistd -n echoproto                         echo on port 12345
  twistd -n echoproto -p 7 --greet 7007       both services; low ports need root
  twistd -n echoproto -p 7 --interface ::1    echo on one address
  twistd -n echoproto -p unix:/tmp/echo.sock  echo on a UNIX socket
  twistd -n echoproto -p 7 -p tcp:8007:proxy=any --status 9100
"""


class Options(UsageOptions):
    """The command line of ``twistd echoproto``."""

    synopsis = "[options]"
    examples = _EXAMPLES
    longdesc = "Answers echo (RFC 862) and greeting on TCP and UDP until stopped by a signal."

    optFlags: ClassVar = [["no-echo", None, "Serve no echo unless --port is given."]]

    optParameters: ClassVar = [[each.name, None, each.default, each.help] for each in PARAMETERS]

    def __init__(self) -> None:
        UsageOptions.__init__(self)
        self._ports: list[str] = []
        self._greets: list[str] = []
        self._interfaces: list[str] = []
        self._allow: list[str] = []
        self._deny: list[str] = []
        #: What was asked for; set once the options are parsed.
        self.settings: Settings

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

    def opt_allow(self, network: str) -> None:
        """Serve only sources in NET; may be repeated. [default: everybody]"""
        self._allow.append(network)

    def opt_deny(self, network: str) -> None:
        """Serve no source in NET, though it is allowed; may be repeated."""
        self._deny.append(network)

    def opt_version(self) -> None:
        """Print the versions of echoproto and Twisted, then exit."""
        print(f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """The options, then what a LISTENER is, and examples."""
        return f"{super().getUsage(width)}{_LISTENERS}{self.examples}"

    def postOptions(self) -> None:
        """
        Check what was given.

        :raise StartupError: something is wrong. Not a ``UsageError``: ``twistd`` would print all the
            options first, and the line that matters last.
        """
        for address in self._interfaces:
            if not isIPAddress(address) and not isIPv6Address(address):
                raise StartupError(f"--interface {address!r}: not a numeric IPv4 or IPv6 address")
        values = self._parsed()
        deadlines = [values[f"{each.name}-timeout"] for each in fields(Timeouts)]
        self.settings = Settings(
            self._groups(values),
            greeting=values["greeting"],
            maxConnections=values["max-connections"],
            maxPerSource=values["max-per-source"],
            connectionRate=values["connection-rate"],
            connectionBurst=values["connection-burst"],
            waitWhenFull=values["when-full"],
            networks=self._networks(),
            datagramRate=values["datagram-rate"],
            refusedPorts=values["refused-ports"],
            deadlines=Timeouts(*deadlines),
            userTimeout=values["user-timeout"],
            drain=values["drain"],
        )

    def _parsed(self) -> dict[str, Any]:
        """The value of each parameter that has a parser, by name; ``None`` where it was not given and has no default."""
        values: dict[str, Any] = {}
        for each in PARAMETERS:
            try:
                text = self[each.name]
                values[each.name] = None if text is None else each.parse(text)
            except ValueError as error:
                raise StartupError(f"--{each.name}: {error}") from error
        return values

    def _networks(self) -> AddressFilter:
        for option, texts in (("allow", self._allow), ("deny", self._deny)):
            for text in texts:
                try:
                    parseNetwork(text)
                except ValueError as error:
                    raise StartupError(f"--{option}: {error}") from error
        return AddressFilter(self._allow, self._deny)

    def _groups(self, values: dict[str, Any]) -> list[list[Listener]]:
        try:
            passed = passedSockets(initialEnvironment(), os.getpid())
        except ValueError as error:
            raise StartupError(str(error)) from error
        tls = self._tls(values)
        ports = self._ports or ([] if self["no-echo"] else [DEFAULT_PORT])
        groups = self._groupsOf("echo", "port", ports, tls, passed)
        groups += self._groupsOf("greeting", "greet", self._greets, tls, passed)
        if not groups:
            raise StartupError("nothing to serve: give --port or --greet, or leave out --no-echo")
        return groups + self._status(values["status"], passed)

    def _groupsOf(
        self,
        service: str,
        option: str,
        texts: list[str],
        tls: TLSFiles | None,
        passed: list[PassedSocket],
    ) -> list[list[Listener]]:
        interfaces = tuple(self._interfaces)
        try:
            return [parseListener(service, text, interfaces, tls, passed) for text in texts]
        except ValueError as error:
            raise StartupError(f"--{option}: {error}") from error

    def _status(self, text: str | None, passed: list[PassedSocket]) -> list[list[Listener]]:
        if text is None:
            return []
        if ":" not in text:
            text = f"tcp:{text}:interface={STATUS_INTERFACE}"
        try:
            [listener] = parseListener("status", text, passed=passed)
        except ValueError as error:
            raise StartupError(f"--status: {error}") from error
        if listener.carrier not in ("tcp", "unix") or listener.layers.proxy is not None:
            raise StartupError(f"--status {text!r}: give a port, or a tcp: or unix: description")
        return [[listener]]

    def _tls(self, values: dict[str, Any]) -> TLSFiles | None:
        certificate, key, clientCA = (
            values[f"tls-{name}"] for name in ("cert", "key", "client-ca")
        )
        if certificate is None:
            if key is not None or clientCA is not None:
                raise StartupError("--tls-key and --tls-client-ca need --tls-cert")
            return None
        return TLSFiles(certificate, key or certificate, clientCA)


def makeService(options: Options) -> IService:
    """The service that parsed ``options`` ask for; called by ``twistd``."""
    # Here and not above: importing the reactor installs it, and twistd --reactor chooses it first.
    from twisted.internet import reactor

    service: Any = EchoprotoService(reactor, options.settings)
    return IService(service)
