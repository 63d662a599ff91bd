"""The status listener from text."""

from __future__ import annotations

from collections.abc import Sequence

from echoproto.errors import StartupError
from echoproto.server.config.descriptions import parsePort
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.systemd import PassedSocket

#: The interface of a status listener if only a port is given.
STATUS_INTERFACE = "127.0.0.1"


def statusListener(text: str, passed: Sequence[PassedSocket] = ()) -> Listener:
    """
    A status listener.

    :param text: a port, which is one of :data:`STATUS_INTERFACE`, or a description.
    :param passed: the sockets passed by systemd.
    :raise StartupError: ``text`` is invalid.
    """
    invalid = StartupError(
        f"--status: invalid listener {text!r} (a port, or a tcp: or unix: description)"
    )
    if ":" not in text:
        try:
            text = f"tcp:{parsePort(text)}:interface={STATUS_INTERFACE}"
        except ValueError:
            raise invalid from None
    try:
        [listener] = parseListener("status", text, passed=passed)
    except ValueError as error:
        raise StartupError(f"--status: {error}") from error
    if listener.carrier not in ("tcp", "unix"):
        raise invalid
    return listener
