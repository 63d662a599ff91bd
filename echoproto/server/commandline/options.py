"""
The command line of ``twistd echoproto``, made from the table of :mod:`.parameters`.

:mod:`.service` makes the service from it; ``echoproto serve`` extends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import twisted
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

import echoproto
from echoproto.errors import StartupError
from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.commandline.parameter import Parameter
from echoproto.server.commandline.parameters import DEFAULT_PORT, PARAMETERS
from echoproto.server.commandline.twistdfiles import checkTwistdFiles, removeStalePIDFile
from echoproto.server.commandline.usage import EXAMPLES, usageText
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.config.settings import Settings
from echoproto.server.config.status import statusListener
from echoproto.server.systemd import (
    PassedSocket,
    explainNoSockets,
    initialEnvironment,
    passedSockets,
)
from echoproto.text.suggestion import suggestion


class Options(UsageOptions):
    """
    The command line.

    :cvar parameters: the options of the command, in the order of ``--help``.
    :ivar parsed: the value of each option by name; ``None`` without a value and a default.
    :ivar settings: the settings; both are set when the command line is parsed.
    """

    synopsis = "[options]"
    longdesc = "Answers echo (RFC 862) and greeting on TCP and UDP until stopped by a signal."
    examples = EXAMPLES
    parameters: ClassVar[Sequence[Parameter]] = PARAMETERS
    optFlags: ClassVar = [
        [parameter.name, parameter.short, parameter.help]
        for parameter in PARAMETERS
        if parameter.isFlag
    ]
    optParameters: ClassVar = [
        [parameter.name, parameter.short, parameter.default, parameter.help]
        for parameter in PARAMETERS
        if not (parameter.isFlag or parameter.isRepeatable)
    ]

    def __init__(self) -> None:
        UsageOptions.__init__(self)
        self.repeated: dict[str, list[str]] = {
            parameter.name: [] for parameter in self.parameters if parameter.isRepeatable
        }
        self.parsed: dict[str, Any]
        self.settings: Settings

    def opt_version(self) -> None:
        """Print the versions of echoproto and Twisted, then exit."""
        print(f"echoproto {echoproto.__version__} (Twisted {twisted.__version__})")
        raise SystemExit(0)

    # Any: Twisted does not declare its type.
    opt_h: Any = UsageOptions.opt_help

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        See ``usage.Options``.

        :raise StartupError: an option of ``twistd echoproto`` is unknown, or lacks its value.
            ``twistd`` would answer a ``UsageError`` with all options first, and the reason last.
        :raise UsageError: the same without ``twistd``.
        """
        try:
            UsageOptions.parseOptions(self, options)
        except UsageError as error:
            unknown = re.fullmatch(r"option (--.+) not recognized", str(error))
            hint = self._hint(unknown[1]) if unknown else ""
            if self.parent is None:
                raise UsageError(f"{error}{hint}") from error
            raise StartupError(f"{error}{hint}; see twistd echoproto --help") from error

    def _hint(self, name: str) -> str:
        ofTwistd = [option.rstrip("=") for option in getattr(self.parent, "longOpt", ())]
        if name[2:] in ofTwistd:
            return "; it is an option of twistd: write it before echoproto"
        return suggestion(name, [f"--{parameter.name}" for parameter in self.parameters])

    def getUsage(self, width: int | None = None) -> str:
        """The options by group, the forms of their values, and examples."""
        return usageText(self.longdesc, self.parameters, self.examples, width or 80)

    def parseArgs(self, *words: str) -> None:
        """Refuse arguments that are not options."""
        if words:
            raise StartupError(f"unexpected argument {words[0]!r}; the port is an option: --port 7")

    def postOptions(self) -> None:
        """
        Check the options, and make the settings.

        :raise StartupError: one is invalid. Not a ``UsageError``: ``twistd`` would print all
            options first, and the important line last.
        """
        if self.parent is not None:
            checkTwistdFiles(self.parent)
        values = self.parsed = self._parse()
        if self.parent:
            removeStalePIDFile(self.parent.get("pidfile"))
        arguments = {p.setting: values[p.name] for p in self.parameters if p.setting}
        timeouts = {field.name: arguments.pop(field.name) for field in fields(Timeouts)}
        groups = self._groups(values)
        hasFaults = any(listener.faults for group in groups for listener in group)
        if hasFaults or values["fault"] is not None:
            from echoproto.server.config.faults import withDefaultFaults

            groups, arguments["faultSeed"] = withDefaultFaults(
                groups, values["fault"], values["fault-seed"]
            )
        listeners = [listener for group in groups for listener in group]
        arguments["notice"] = _withoutEffect(values, listeners)
        self.settings = Settings(
            groups,
            networks=AddressFilter(self.repeated["allow"], self.repeated["deny"]),
            deadlines=Timeouts(**timeouts),
            **arguments,
        )

    def _parse(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            name = parameter.name
            try:
                if parameter.isFlag:
                    values[name] = bool(self[name])
                elif parameter.isRepeatable:
                    values[name] = [parameter.parse(text) for text in self.repeated[name]]
                else:
                    values[name] = None if self[name] is None else parameter.parse(self[name])
            except ValueError as error:
                raise StartupError(f"--{name}: {error}") from error
        return values

    def _groups(self, values: dict[str, Any]) -> list[list[Listener]]:
        environ, pid = initialEnvironment(), os.getpid()
        try:
            passed = passedSockets(environ, pid)
        except ValueError as error:
            raise StartupError(str(error)) from error
        if not passed:
            _checkNoPassed(values, explainNoSockets(environ, pid))
        tls = _tlsFiles(values["tls-cert"], values["tls-key"], values["tls-client-ca"])
        ports = values["port"] or ([] if values["no-echo"] else [DEFAULT_PORT])
        groups = self._groupsOf("echo", "port", ports, tls, passed)
        groups += self._groupsOf("greeting", "greet", values["greet"], tls, passed)
        groups += self._groupsOf("udp-plus", "udp-plus", values["udp-plus"], None, passed)
        if not groups:
            raise StartupError(
                "nothing to serve: give --port, --greet or --udp-plus, or omit --no-echo"
            )
        return groups + [[statusListener(text, passed)] for text in values["status"]]

    def _groupsOf(
        self,
        service: str,
        option: str,
        texts: list[str],
        tls: TLSFiles | None,
        passed: list[PassedSocket],
    ) -> list[list[Listener]]:
        interfaces = tuple(self.repeated["interface"])
        try:
            return [parseListener(service, text, interfaces, tls, passed) for text in texts]
        except ValueError as error:
            raise StartupError(f"--{option}: {error}") from error


def _withoutEffect(values: dict[str, Any], listeners: Sequence[Listener]) -> str:
    """A line about the options that change nothing; empty if all do."""
    notices = []
    if values["interface"] and all(listener.port is None for listener in listeners):
        notices.append("--interface has no effect: it is for port numbers")
    if values["tls-cert"] and all(listener.layers.tls is None for listener in listeners):
        notices.append("--tls-cert has no effect: it is for TCP listeners")
    return "; ".join(notices)


def _appender(parameter: Parameter) -> Callable[[Options, str], None]:
    """The method of an option that may be repeated, as ``twisted.usage`` finds it."""

    def append(self: Options, text: str) -> None:
        self.repeated[parameter.name].append(text)

    append.__doc__ = parameter.help
    return append


for _parameter in PARAMETERS:
    if _parameter.isRepeatable:
        for _name in filter(None, (_parameter.name, _parameter.short)):
            setattr(Options, f"opt_{_name}", _appender(_parameter))


def _checkNoPassed(values: dict[str, Any], reason: str) -> None:
    """Check that no listener needs a passed socket; with ``domain=`` Twisted looks for it."""
    for option in ("port", "greet", "udp-plus", "status"):
        for text in values[option]:
            if text.startswith("systemd:") and "domain=" not in text:
                raise StartupError(f"--{option}: systemd passed no socket: {reason}")


def _tlsFiles(
    certificate: str | None, key: str | None, clientAuthorities: str | None
) -> TLSFiles | None:
    if certificate is None:
        if key is not None or clientAuthorities is not None:
            raise StartupError("--tls-key and --tls-client-ca need --tls-cert")
        return None
    return TLSFiles(certificate, key or certificate, clientAuthorities)
