from __future__ import annotations

import socket
from contextlib import redirect_stdout
from io import StringIO
from typing import Any
from unittest import mock

import twisted
from twisted.python.usage import UsageError
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

import echoproto
from echoproto.errors import StartupError
from echoproto.protocols.faults.faultplan import parseFaults
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.commandline import options as module
from echoproto.server.commandline.options import Options
from echoproto.server.commandline.parameters import PARAMETERS
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.systemd import PassedSocket


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def settings(*arguments: str) -> Settings:
    return parsed(*arguments).settings


class OptionsTests(SynchronousTestCase):
    def wrong(self, *arguments: str) -> str:
        with self.assertRaises(StartupError) as raised:
            parsed(*arguments)
        message = str(raised.exception)
        self.assertEqual(len(message.splitlines()), 1)
        return message

    def test_default(self) -> None:
        """Without options: echo on port 12345, and the default settings."""
        found = settings()
        self.assertEqual(found.groups, [parseListener("echo", "12345")])
        default = Settings(found.groups, networks=found.networks)
        self.assertEqual(found, default)
        self.assertTrue(found.networks.permits("192.0.2.1"))

    def test_portAndGreet(self) -> None:
        """Both are repeatable, by long and short name, as numbers and descriptions."""
        found = settings("--port", "7", "-p", "udp:8", "--greet", "9", "-g", "unix:/x")
        expected = [
            parseListener("echo", "7"),
            parseListener("echo", "udp:8"),
            parseListener("greeting", "9"),
            parseListener("greeting", "unix:/x"),
        ]
        self.assertEqual(found.groups, expected)

    def test_interface(self) -> None:
        """--interface narrows the bare numbers, wherever it stands."""
        found = settings("-p", "7", "--interface", "127.0.0.1", "--interface", "::1")
        self.assertEqual(found.groups, [parseListener("echo", "7", ("127.0.0.1", "::1"))])

    def test_noEcho(self) -> None:
        """
        --no-echo leaves the greeting alone; --port overrides it; a status alone is not a service.
        """
        found = settings("--no-echo", "-g", "7")
        self.assertEqual(
            {listener.service for group in found.groups for listener in group}, {"greeting"}
        )
        found = settings("--no-echo", "-p", "7")
        self.assertEqual(
            {listener.service for group in found.groups for listener in group}, {"echo"}
        )
        self.assertIn("nothing to serve", self.wrong("--no-echo"))
        self.assertIn("nothing to serve", self.wrong("--no-echo", "--status", "9100"))

    def test_figures(self) -> None:
        """Options with one value reach the settings."""
        found = settings(
            *("--greeting", "Moin", "--max-connections", "9", "--max-per-source", "8"),
            *("--connection-rate", "7/s", "--connection-burst", "6", "--when-full", "wait"),
            *("--datagram-rate", "5", "--refused-ports", "none", "--user-timeout", "4"),
            *("--drain", "3", "--idle-timeout", "1m", "--header-timeout", "3"),
        )
        self.assertEqual(
            (found.greeting, found.maxConnections, found.maxPerSource), (b"Moin", 9, 8)
        )
        self.assertEqual((found.connectionRate, found.connectionBurst), (7, 6))
        self.assertTrue(found.waitWhenFull)
        self.assertEqual((found.datagramRate, found.refusedPorts), (5, frozenset()))
        self.assertEqual((found.userTimeout, found.drain), (4, 3))
        self.assertEqual(found.deadlines, Timeouts(idle=60, header=3))

    def test_wrongFigures(self) -> None:
        """The error for an invalid value names the option."""
        self.assertIn("--datagram-rate: invalid rate 'fast'", self.wrong("--datagram-rate", "fast"))
        self.assertIn("--greeting: invalid length of 0 bytes", self.wrong("--greeting", ""))
        self.assertIn("--when-full: invalid choice 'panic'", self.wrong("--when-full", "panic"))

    def test_faults(self) -> None:
        """--fault and --fault-seed set the faults of listeners, fault= those of one."""
        found = settings("-p", "tcp:7", "-g", "udp:8", "--fault", "delay=1s", "--fault-seed", "5")
        faults = [listener.faults for group in found.groups for listener in group]
        self.assertEqual((faults, found.faultSeed), ([parseFaults("delay=1s")] * 2, 5))
        found = settings("-p", "udp:7:fault=loss=1%", "-p", "tcp:7")
        self.assertEqual(found.groups[0][0].faults, parseFaults("loss=1%"))
        self.assertFalse(found.groups[1][0].faults)
        self.assertIn("--fault: invalid fault 'slow'", self.wrong("--fault", "slow"))
        self.assertIn("--fault: loss: possible", self.wrong("-p", "tcp:7", "--fault", "loss=1%"))

    def test_interfaceWithoutEffect(self) -> None:
        """--interface with descriptions only is a notice at the start."""
        self.assertEqual(
            settings("-p", "tcp:7", "--interface", "::1").notice,
            "--interface has no effect: it is for port numbers",
        )
        self.assertEqual(settings("-p", "7", "--interface", "::1").notice, "")

    def test_certificateWithoutEffect(self) -> None:
        """--tls-cert without a TCP listener is a notice at the start."""
        self.assertEqual(
            settings("-p", "udp:7", "--tls-cert", "x.pem").notice,
            "--tls-cert has no effect: it is for TCP listeners",
        )
        self.assertEqual(settings("-p", "tcp:7", "--tls-cert", "x.pem").notice, "")

    def test_unknownOption(self) -> None:
        """An unknown option is an error that names one with a similar name, if there is one."""
        for option, message in (
            ("--prot", "option --prot not recognized; did you mean --port?"),
            ("--xyz", "option --xyz not recognized"),
        ):
            error = self.assertRaises(UsageError, parsed, option)
            self.assertEqual(str(error), message)

    def test_unknownToTwistd(self) -> None:
        """Under twistd the error is the line only; an option of twistd itself precedes ours."""
        twistd = ServerOptions()
        twistd["pidfile"] = ""
        for option, reason in (
            ("--prot", "did you mean --port?"),
            ("--uid", "it is an option of twistd: write it before echoproto"),
            ("--nodaemon", "it is an option of twistd: write it before echoproto"),
        ):
            options: Any = Options()
            options.parent = twistd
            error = self.assertRaises(StartupError, options.parseOptions, [option])
            self.assertEqual(
                str(error),
                f"option {option} not recognized; {reason}; see twistd echoproto --help",
            )

    def test_shortHelp(self) -> None:
        """-h shows the options, as --help does."""
        with redirect_stdout(StringIO()) as output, self.assertRaises(SystemExit) as raised:
            parsed("-h")
        self.assertEqual(raised.exception.code, 0)
        self.assertIn("Listeners:", output.getvalue())

    def test_udpPlus(self) -> None:
        """--udp-plus adds listeners of UDPEchoPlus."""
        found = settings("--no-echo", "--udp-plus", "udp:8", "--udp-plus", "udp:9")
        services = [(listener.service, listener.description) for [listener] in found.groups]
        self.assertEqual(services, [("udp-plus", "udp:8"), ("udp-plus", "udp:9")])
        self.assertIn("--udp-plus: invalid listener 'tcp:8'", self.wrong("--udp-plus", "tcp:8"))

    def test_networks(self) -> None:
        """Sources are allowed and denied by network."""
        found = settings("--allow", "192.0.2.0/24", "--allow", "::1", "--deny", "192.0.2.1")
        permitted = [found.networks.permits(host) for host in ("192.0.2.2", "::1", "192.0.2.1")]
        self.assertEqual(permitted, [True, True, False])
        self.assertIn("--allow: 'lab' is not a network", self.wrong("--allow", "lab"))
        self.assertIn("--deny: 'lab' is not a network", self.wrong("--deny", "lab"))

    def test_tls(self) -> None:
        """With a certificate TCP listeners use TLS."""
        files = TLSFiles("c", "k", "a")
        arguments = ("--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a", "-p", "7")
        self.assertEqual(settings(*arguments).groups, [parseListener("echo", "7", tls=files)])
        [[first, *_]] = settings("--tls-cert", "c").groups
        self.assertEqual(first.layers.tls, TLSFiles("c", "c"))
        self.assertIn("need --tls-cert", self.wrong("--tls-key", "k"))
        self.assertIn("need --tls-cert", self.wrong("--tls-client-ca", "a"))

    def test_status(self) -> None:
        """The status listener is on a port of 127.0.0.1, or on a stream description."""
        for text, description in (
            ("9100", "tcp:9100:interface=127.0.0.1:backlog=1024"),
            ("unix:/run/status", "unix:/run/status:backlog=1024"),
        ):
            [listener] = settings("--status", text, "--tls-cert", "c").groups[-1]
            self.assertEqual((listener.service, listener.description), ("status", description))
            self.assertIsNone(listener.layers.tls)
        [listener] = settings("--status", "tcp:9100:proxy=v2").groups[-1]
        self.assertIsNotNone(listener.layers.proxy)
        both = settings("--status", "9100", "--status", "tcp6:9100").groups[-2:]
        self.assertEqual(
            [listener.description for [listener] in both],
            ["tcp:9100:interface=127.0.0.1:backlog=1024", "tcp6:9100:backlog=1024"],
        )
        for text, why in (
            ("lab", "--status: invalid listener 'lab' (a port, or a tcp: or unix: description)"),
            ("udp:7", "a port, or a tcp: or unix: description"),
            ("tcp:7:tlsCert=c", "a port, or a tcp: or unix: description"),
        ):
            self.assertIn(why, self.wrong("--status", text))

    def test_passedSockets(self) -> None:
        """A systemd: listener takes the passed sockets."""
        passed = PassedSocket(3, "echo", socket.SOCK_STREAM, socket.AF_INET)
        with mock.patch.object(module, "passedSockets", return_value=[passed]):
            self.assertEqual(settings("-p", "systemd:").groups[0][0].passed, passed)

    def test_filesOfTwistd(self) -> None:
        """A pidfile of twistd in a folder that does not exist is reported."""
        options: Any = Options()
        options.parent = {"pidfile": "/nonexistent/twistd.pid", "nodaemon": True}
        error = self.assertRaises(StartupError, options.parseOptions, [])
        self.assertIn("pidfile '/nonexistent/twistd.pid' cannot be written", str(error))
        options = Options()
        options.parent = {"pidfile": "", "nodaemon": True}
        options.parseOptions([])

    def test_noPassedSockets(self) -> None:
        """A systemd: listener without passed sockets is explained by the variables of systemd."""
        for option in ("--port", "--greet", "--status"):
            self.assertIn(
                f"{option}: systemd passed no socket: LISTEN_PID is not set",
                self.wrong(option, "systemd:"),
            )
        self.assertIn("passed no such socket", self.wrong("--port", "systemd:domain=INET:index=0"))

    def test_wrongListeners(self) -> None:
        """The error for an invalid listener names the option and the value."""
        self.assertIn("--port: invalid listener '65536'", self.wrong("-p", "65536"))
        self.assertIn("--greet: invalid listener 'tcp:x'", self.wrong("-g", "tcp:x"))
        self.assertIn("--interface: invalid address 'lab'", self.wrong("--interface", "lab"))

    def test_wrongEnvironment(self) -> None:
        """A malformed environment of systemd is reported."""
        self.patch(module, "initialEnvironment", lambda: {"LISTEN_PID": "x"})
        self.assertIn("LISTEN_PID", self.wrong())

    def test_version(self) -> None:
        """--version prints the versions of echoproto and Twisted, and exits with 0."""
        with redirect_stdout(StringIO()) as output, self.assertRaises(SystemExit) as raised:
            parsed("--version")
        self.assertEqual(raised.exception.code, 0)
        expected = f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})\n"
        self.assertEqual(output.getvalue(), expected)

    def test_help(self) -> None:
        """--help has every option, the forms of a LISTENER, and examples that parse."""
        usage = parsed().getUsage(80)
        for option in ("port", "greet", "interface", "no-echo", "allow", "deny"):
            self.assertIn(f"--{option}", usage)
        for parameter in PARAMETERS:
            self.assertIn(f"--{parameter.name}", usage)
        examples = [
            line.split("  ")[1].split()[3:]
            for line in usage.splitlines()
            if line.startswith("  twistd -n echoproto")
        ]
        self.assertEqual(len(examples), 6)
        for example in examples:
            self.assertTrue(parsed(*example).settings.groups)

    def test_arguments(self) -> None:
        """An argument that is no option is refused, with the option that may be meant."""
        with self.assertRaisesRegex(StartupError, "unexpected argument '7'; .*--port"):
            parsed("7")
