"""
``echoproto greet``: one greeting exchange, over any carrier.
"""

from __future__ import annotations

from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from echoproto.cli.ending import INTERRUPTED, WELL, WRONG_BYTES, statusOf, why
from echoproto.cli.parameters import CONTEXT, DURATION, TARGET, Grouped, option
from echoproto.cli.way import TARGETS, targetsOf, wayOf, wayOptions
from echoproto.client.finding import find
from echoproto.client.greeting import greet as greetStream
from echoproto.client.greeting import greetDatagram
from echoproto.client.probing import DatagramTarget
from echoproto.greeting import CLIENT_GREETING
from echoproto.measure.report.checking import printable

_SECOND = 1_000_000_000

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto greet lab1:12346
  echoproto greet -m 'Anybody there?' udp://lab1:12346
  echoproto greet --expect 'Hello, client! This is the server.' tls://lab1:12346

\b
Exit status: 0 well, 1 no reply, 2 usage or local error, 3 not the reply that was expected,
130 interrupted.
"""


@click.command("greet", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("targets", metavar="TARGET", nargs=-1, type=TARGET)
@option("The greeting", "-m", "--message", default=CLIENT_GREETING.decode(), help="What to say.")
@option("The greeting", "--expect", metavar="TEXT", help="Exit status 3 unless this is the reply.")
@option(
    "The greeting", "-W", "--wait", type=DURATION, default="10s", help="So long at most.  [10s]"
)
@wayOptions
def greet(targets: Any, **given: Any) -> int:
    """Greet a greeting server once, and print its reply."""
    asked = targetsOf(targets, given)
    if len(asked) > 1:
        raise click.UsageError("one TARGET is greeted at a time")
    if not given["message"]:
        raise click.UsageError("an empty --message says nothing, and has no answer")
    from echoproto.server.foreground import installReactor

    reactor = installReactor(None)
    ended: list[int] = []

    def end(status: int) -> None:
        ended.append(status)
        reactor.stop()

    def begin() -> None:
        exchange = _exchange(reactor, asked[0], wayOf(given), given)
        exchange.addCallbacks(_show, _complain, callbackArgs=(given["expect"],)).addCallback(end)

    reactor.callWhenRunning(begin)
    reactor.run()
    return ended[0] if ended else INTERRUPTED


def _exchange(reactor: Any, target: Any, way: Any, given: Any) -> Deferred[bytes]:
    message, timeout = given["message"].encode(), given["wait"] / _SECOND

    def ask(found: Any) -> Deferred[bytes]:
        if isinstance(found, DatagramTarget):
            return greetDatagram(found, reactor, message, timeout)
        return greetStream(found.endpoint, reactor, message, timeout)

    return find(reactor, target, len(message), reactor.seconds, way).addCallback(ask)


def _show(reply: bytes, expected: str | None) -> int:
    # Whatever a server says, it does nothing to the terminal.
    click.echo(printable(reply.decode("utf-8", "backslashreplace")))
    if expected is None or reply == expected.encode():
        return WELL
    click.echo(f"echoproto greet: the reply is not {expected!r}", err=True)
    return WRONG_BYTES


def _complain(failure: Failure) -> int:
    click.echo(f"echoproto greet: {why(failure)}", err=True)
    return statusOf(failure)
