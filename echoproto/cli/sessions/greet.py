"""
The run of ``echoproto greet``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.greet import GreetOptions
from echoproto.cli.runner import Session
from echoproto.client.greeting import greet, greetDatagram, otherService
from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.failures import tlsHint
from echoproto.client.targets.stream import StreamTarget
from echoproto.client.targets.udp import UDPTarget
from echoproto.text.units import SECOND
from echoproto.text.untrusted import escaped


def runGreet(options: GreetOptions) -> int:
    """Run it; returns the exit status."""
    return GreetSession(options).run()


class GreetSession(Session["_Greeting", bytes]):
    """Prints the reply, escaped, so that no server can control the terminal."""

    command = "greet"

    options: GreetOptions

    def prepare(self, reactor: IReactorTime) -> Deferred[_Greeting]:
        """See :class:`.Session`."""
        message, timeout = self.options.greeting, self.options.timeout
        making = makeTarget(
            reactor, self.target, len(message), time.monotonic_ns, self.options.connect, timeout
        )
        return making.addCallback(_Greeting, reactor, message, timeout / SECOND)

    def figures(self, measurement: _Greeting) -> Iterable[str]:
        """See :class:`.Session`."""
        return ("waiting for the reply",)

    def show(self, result: bytes) -> int:
        """See :class:`.Session`."""
        self.runner.write([escaped(result)])
        if self.target.carrier == "tcp" and (hint := tlsHint(result)):
            self.runner.complain(f"this is no greeting{hint}")
            return NO_REPLY
        expected = self.options.expect
        isDatagram = self.target.carrier == "udp"
        service = otherService(self.options.greeting, result, isDatagram)
        if service:
            self.runner.complain(service)
        if expected is None:
            return NO_REPLY if service else OK
        if result == os.fsencode(expected):
            return OK
        self.runner.complain(f"the reply is not {expected!r}")
        return WRONG_BYTES


class _Greeting:
    """One exchange, as a :class:`~echoproto.client.measurement.Measurement`."""

    def __init__(
        self,
        target: StreamTarget | UDPTarget,
        reactor: IReactorTime,
        message: bytes,
        timeout: float,
    ) -> None:
        self.target = target
        self._exchange = (reactor, message, timeout)
        self.result: Deferred[bytes]

    def start(self) -> None:
        """Send the greeting."""
        if isinstance(self.target, UDPTarget):
            self.result = greetDatagram(self.target, *self._exchange)
        else:
            self.result = greet(self.target.endpoint, *self._exchange)

    def stop(self) -> None:
        """Wait no longer."""
        self.result.cancel()
