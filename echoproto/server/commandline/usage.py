"""The text of ``--help``: the options by group, the forms of their values, and examples."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from echoproto.server.commandline.parameter import Parameter

#: Columns of the names in ``--help``.
_NAME_COLUMNS = 32

_NOTES = """
Other options:
      --version                 Print the versions of echoproto and Twisted.
  -h, --help                    Show this text.

LISTENER is a port number, for TCP and UDP on IPv4 and IPv6, or a description:
  tcp:7:interface=127.0.0.1  tcp6:7  udp:7:interface=127.0.0.1  unix:/run/echo
  tls:FOLDER:7               TLS with the .pem files in FOLDER (IPv6 unless
                             interface=0.0.0.0 is given)
  systemd:                   every socket passed by systemd; systemd:NAME
Stream descriptions also accept
  tlsCert=FILE tlsKey=FILE tlsClientCA=FILE   TLS, mutual with the last; tls=no
  proxy=v1|v2|any trust=NET,NET               clients announced by a PROXY
                             header, from proxies in NET [loopback]
  fault=FAULTS               see --fault; fault=no: none, even with --fault
TIME is 30, 1.5s, 200ms, 1m30s or 2h; 0 means never, and no time for --drain,
--lame-duck and --status-linger. NET is 192.0.2.0/24 or an address,
2001\\:db8\\:\\:/32 inside a description.
SIGTERM and SIGINT stop in phases, and another one ends a phase; SIGHUP reads
the certificates again.
"""

#: Command lines of ``twistd echoproto``.
EXAMPLES = """
Examples:
  twistd -n echoproto                         echo on port 12345
  twistd -n echoproto -p 7 --greet 7007       both services; low ports need root
  twistd -n echoproto -p 7 --interface ::1    echo on one address
  twistd -n echoproto -p unix:/tmp/echo.sock  echo on a UNIX socket
  twistd -n echoproto -p 7 -p tcp:8007:proxy=any --status 9100
  twistd -n echoproto -p 7 --status 9100 --lame-duck=5s  behind a balancer
"""


def usageText(description: str, parameters: Sequence[Parameter], examples: str, width: int) -> str:
    """
    The text of ``--help``.

    :param description: the first line.
    :param parameters: the options, whose groups are shown in the order of their first options.
    :param examples: shown last.
    :param width: columns of the text.
    """
    lines = [description]
    for group in dict.fromkeys(parameter.group for parameter in parameters):
        lines += ["", f"{group}:"]
        for parameter in parameters:
            if parameter.group == group:
                lines += _described(parameter, width)
    return "\n".join(lines) + f"\n{_NOTES}{examples}"


def _described(parameter: Parameter, width: int) -> list[str]:
    """The lines of an option in ``--help``."""
    letter = f"-{parameter.short}, " if parameter.short else "    "
    value = "" if parameter.isFlag else f" {parameter.metavar}"
    name = f"  {letter}--{parameter.name}{value}"
    default = "" if parameter.default is None else f" [default: {parameter.default}]"
    indent = " " * _NAME_COLUMNS
    text = textwrap.wrap(
        parameter.help + default,
        width - 1,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    first = f"{name:{_NAME_COLUMNS}}{text[0].lstrip()}" if len(name) < _NAME_COLUMNS else name
    return [first, *(text[1:] if len(name) < _NAME_COLUMNS else text)]
