"""
The table of all options of ``twistd echoproto``: name, default, parser, help, group and setting.

:mod:`echoproto.server.commandline.options` makes the command line and the settings from it.
``docs/operation.md`` has a row for each option, with the reason for its default.
"""

from __future__ import annotations

from collections.abc import Callable

from echoproto.protocols.admission.addressfilter import parseNetwork
from echoproto.protocols.admission.datagramadmission import DATAGRAM_RATE, LOOPING_PORTS
from echoproto.protocols.connections import DRAIN_TIMEOUT
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.commandline.optionvalues import (
    orInfinity,
    parseFaultPlan,
    parseGreeting,
    parseInterface,
    parseMaximum,
    parseUserTimeout,
    parseWhenFull,
)
from echoproto.server.commandline.parameter import (
    FAULTS,
    LIMITS,
    LISTENERS,
    MONITORING,
    TIMEOUTS,
    TLS,
    Parameter,
)
from echoproto.server.config.settings import RESERVED_DESCRIPTORS, USER_TIMEOUT
from echoproto.status.state import MAXIMUM_CONNECTIONS
from echoproto.text.units import parseCount, parsePorts, parseRate, parseSeconds, parseTimeout

#: The echo port by default.
DEFAULT_PORT = "12345"


def _time(
    name: str,
    group: str,
    help: str,
    default: float,
    setting: str,
    parse: Callable[[str], float] = parseSeconds,
) -> Parameter:
    return Parameter(name, group, help, f"{default:g}", parse, setting, metavar="TIME")


def _timeout(setting: str, help: str) -> Parameter:
    default = getattr(Timeouts(), setting)
    return _time(f"{setting}-timeout", TIMEOUTS, help, default, setting, parseTimeout)


def _listener(name: str, group: str, help: str, short: str | None = None) -> Parameter:
    return Parameter(name, group, help, short=short, isRepeatable=True, metavar="LISTENER")


def _networks(name: str, help: str) -> Parameter:
    return Parameter(name, LIMITS, help, parse=parseNetwork, isRepeatable=True, metavar="NET")


PARAMETERS = (
    _listener(
        "port",
        LISTENERS,
        f"Listen for echo clients on LISTENER. Repeatable. [default: {DEFAULT_PORT}]",
        "p",
    ),
    _listener(
        "greet",
        LISTENERS,
        "Listen for greeting clients on LISTENER. Repeatable. [default: off]",
        "g",
    ),
    _listener(
        "udp-plus",
        LISTENERS,
        "Serve UDPEchoPlus (TR-143), echo with counters and times, on LISTENER, UDP only. "
        "Repeatable. [default: off]",
    ),
    Parameter("no-echo", LISTENERS, "Serve no echo unless --port is given.", isFlag=True),
    Parameter(
        "interface",
        LISTENERS,
        "Numeric address for port numbers. Repeatable. [default: all addresses]",
        parse=parseInterface,
        isRepeatable=True,
        metavar="ADDRESS",
    ),
    Parameter(
        "greeting",
        LISTENERS,
        "Text of the greeting service. Shorter UDP requests are not answered.",
        SERVER_GREETING.decode(),
        parseGreeting,
        "greeting",
    ),
    Parameter(
        "max-connections",
        LIMITS,
        "Maximum number of connections. [default: the limit of file descriptors less "
        f"{RESERVED_DESCRIPTORS}, two per listener, and {MAXIMUM_CONNECTIONS} with --status; "
        "or fewer by the limit of memory]",
        None,
        parseMaximum,
        "maxConnections",
        metavar="N",
    ),
    Parameter(
        "max-per-source",
        LIMITS,
        "Maximum number of connections from one IPv4 address or IPv6 /64; 0: no limit. "
        "[default: half of --max-connections]",
        None,
        orInfinity(parseCount),
        "maxPerSource",
        metavar="N",
    ),
    Parameter(
        "connection-rate",
        LIMITS,
        "Maximum number of connections per second from one source; 0: no limit.",
        "0",
        orInfinity(parseRate),
        "connectionRate",
        metavar="RATE",
    ),
    Parameter(
        "connection-burst",
        LIMITS,
        "Maximum number of connections at once within the rate; 0: one second's worth.",
        "0",
        parseRate,
        "connectionBurst",
        metavar="N",
    ),
    Parameter(
        "when-full",
        LIMITS,
        "When the connection limit is reached: 'refuse' closes new connections, 'wait' leaves "
        "them in the listen backlog.",
        "refuse",
        parseWhenFull,
        "waitWhenFull",
        metavar="MODE",
    ),
    _networks("allow", "Serve only sources in NET. Repeatable. [default: all]"),
    _networks("deny", "Do not serve sources in NET, even if they are allowed. Repeatable."),
    Parameter(
        "datagram-rate",
        LIMITS,
        "Maximum number of datagrams per second answered to one source, and of datagrams at "
        "once; 0: no limit.",
        f"{DATAGRAM_RATE:g}",
        parseRate,
        "datagramRate",
        metavar="RATE",
    ),
    Parameter(
        "refused-ports",
        LIMITS,
        "Source ports that are not answered, because that could start a loop; or 'none'.",
        ",".join(map(str, sorted(LOOPING_PORTS))),
        parsePorts,
        "refusedPorts",
        metavar="PORTS",
    ),
    _timeout("idle", "Close a connection without any data for this TIME."),
    _timeout("stall", "Reset a client that has not read any pending data for this TIME."),
    _timeout("linger", "TIME to wait for the client's FIN after the server's FIN."),
    _timeout("close", "TIME for the client to read all pending data after its FIN."),
    _timeout("handshake", "TIME for the TLS handshake."),
    _timeout("header", "TIME for the PROXY header."),
    _time(
        "user-timeout",
        TIMEOUTS,
        "TIME after which the kernel ends a connection without acknowledgements "
        "(TCP_USER_TIMEOUT).",
        USER_TIMEOUT,
        "userTimeout",
        parseUserTimeout,
    ),
    _time(
        "drain",
        TIMEOUTS,
        "TIME for open connections to finish when the server stops; 0: none.",
        DRAIN_TIMEOUT,
        "drain",
    ),
    _time(
        "lame-duck",
        TIMEOUTS,
        "When the server stops, TIME in which /readyz reports 503 while new clients are still "
        "served; then the drain begins.",
        0,
        "lameDuck",
    ),
    Parameter(
        "tls-cert",
        TLS,
        "Speak TLS on TCP listeners, with the certificate in this PEM file, or those in this "
        "folder.",
        metavar="FILE",
    ),
    Parameter(
        "tls-key",
        TLS,
        "PEM file of its key. [default: the file of the certificate]",
        metavar="FILE",
    ),
    Parameter(
        "tls-client-ca",
        TLS,
        "Require client certificates of an authority in this PEM file.",
        metavar="FILE",
    ),
    _listener(
        "status",
        MONITORING,
        "Serve /healthz, /readyz and /metrics over HTTP on this port of 127.0.0.1, or on a "
        "description. Repeatable.",
    ),
    _time(
        "status-linger",
        MONITORING,
        "TIME that the status listener stays open after the drain, for the last metrics.",
        0,
        "statusLinger",
    ),
    Parameter(
        "fault",
        FAULTS,
        "Do wrong on purpose, to test clients: 'delay=20ms+-5ms loss=1% duplicate=0.5% "
        "corrupt=0.1% close-after=1MiB', or a part of it. [default: off]",
        parse=parseFaultPlan,
        metavar="FAULTS",
    ),
    Parameter(
        "fault-seed",
        FAULTS,
        "Seed of the faults, which repeats them. [default: random]",
        parse=parseCount,
        metavar="N",
    ),
)
