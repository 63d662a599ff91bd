from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import twisted
from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.admission import DATAGRAM_RATE
from echoproto.errors import CannotStart
from echoproto.greeting import SERVER_GREETING
from echoproto.server.descriptions import listenersFor
from echoproto.server.options import Options, makeService
from echoproto.server.service import EchoprotoService


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    def wrong(self, *arguments: str) -> str:
        with self.assertRaises(CannotStart) as raised:
            parsed(*arguments)
        message = str(raised.exception)
        self.assertEqual(len(message.splitlines()), 1)
        return message

    def test_default(self) -> None:
        """Without options: echo on port 12345, the default text and rate."""
        options = parsed()
        self.assertEqual(options.groups, [listenersFor("echo", "12345")])
        self.assertEqual((options.greeting, options.datagramRate), (SERVER_GREETING, DATAGRAM_RATE))

    def test_portAndGreet(self) -> None:
        """Both may be repeated, by long and short name, as numbers and descriptions."""
        options = parsed("--port", "7", "-p", "udp:8", "--greet", "9", "-g", "unix:/x")
        expected = [
            listenersFor("echo", "7"),
            listenersFor("echo", "udp:8"),
            listenersFor("greeting", "9"),
            listenersFor("greeting", "unix:/x"),
        ]
        self.assertEqual(options.groups, expected)

    def test_interface(self) -> None:
        """Addresses narrow the bare numbers, wherever they stand."""
        options = parsed("-p", "7", "--interface", "127.0.0.1", "--interface", "::1")
        self.assertEqual(options.groups, [listenersFor("echo", "7", ("127.0.0.1", "::1"))])

    def test_noEcho(self) -> None:
        """--no-echo leaves the greeting alone; --port is stronger."""
        options = parsed("--no-echo", "-g", "7")
        self.assertEqual({each.service for group in options.groups for each in group}, {"greeting"})
        options = parsed("--no-echo", "-p", "7")
        self.assertEqual({each.service for group in options.groups for each in group}, {"echo"})
        self.assertIn("nothing to serve", self.wrong("--no-echo"))

    def test_greeting(self) -> None:
        """The text is taken as UTF-8; it fits a datagram and is not empty."""
        self.assertEqual(parsed("--greeting", "Grüß dich").greeting, "Grüß dich".encode())
        self.assertIn("0 bytes", self.wrong("--greeting", ""))
        self.assertIn("65508 bytes", self.wrong("--greeting", "x" * 65_508))

    def test_rate(self) -> None:
        """The rate is a number, 0 or more."""
        self.assertEqual(parsed("--datagram-rate", "2.5").datagramRate, 2.5)
        for text in ("fast", "-1", "inf", "nan"):
            self.assertIn(f"--datagram-rate {text!r}", self.wrong("--datagram-rate", text))

    def test_wrongListeners(self) -> None:
        """A listener that does not parse is named, with its option."""
        self.assertIn("--port: '65536' is not a port number", self.wrong("-p", "65536"))
        self.assertIn("--greet: 'tcp:x' is no listener", self.wrong("-g", "tcp:x"))
        self.assertIn("--interface 'lab'", self.wrong("--interface", "lab"))

    def test_version(self) -> None:
        """--version prints our version and Twisted's, and exits well."""
        with redirect_stdout(StringIO()) as output, self.assertRaises(SystemExit) as raised:
            parsed("--version")
        self.assertEqual(raised.exception.code, 0)
        expected = f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})\n"
        self.assertEqual(output.getvalue(), expected)

    def test_help(self) -> None:
        """--help has every option, what a LISTENER is, and examples that parse."""
        usage = parsed().getUsage(80)
        for option in ("port", "greet", "greeting", "interface", "no-echo", "datagram-rate"):
            self.assertIn(f"--{option}", usage)
        examples = [
            line.split("  ")[1].split()[3:]
            for line in usage.splitlines()
            if line.startswith("  twistd -n echoproto")
        ]
        self.assertEqual(len(examples), 4)
        for example in examples:
            self.assertTrue(parsed(*example).groups)


class MakeServiceTests(SynchronousTestCase):
    def test_service(self) -> None:
        """The service has what the options say."""
        service: Any = makeService(parsed("-p", "7", "--greeting", "Moin", "--datagram-rate", "0"))
        self.assertIsInstance(service, EchoprotoService)
        self.assertEqual(service._groups, [listenersFor("echo", "7")])
        self.assertEqual(service._greeting, b"Moin")
