"""
The file of a monitor: TOML, with the targets and how each is probed.

Keys at the top level are defaults of all targets. Every fault is one line: the file, the target,
the cause and the remedy.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from typing import Any

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import Target, parseTarget
from echoproto.errors import StartupError
from echoproto.monitor.values import MAX_FILE_SIZE, PARSERS, InvalidSetting, parseURLs
from echoproto.text.suggestion import suggestion
from echoproto.text.units import SECOND
from echoproto.text.untrusted import escaped, readRegularFile

#: The standard library's parser, or on Python 3.10 the package that it was.
_toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

#: Upper bounds of the histograms in seconds: from a machine nearby to the other side of the world.
BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

#: Characters of a message, which may quote the file: of a longer one the middle is left out.
_MAX_MESSAGE_LENGTH = 400

#: A name or a numeric address, perhaps with its zone.
_HOST = re.compile(r"[\w:][\w.:%-]*")


@dataclass(frozen=True)
class TargetSettings:
    """
    How a target is probed. Times are in nanoseconds.

    :ivar target: the target.
    :ivar labels: further labels of its metrics, with their values.
    :ivar interval: time between two probes.
    :ivar wait: limit for each reply, and for each connection.
    :ivar size: bytes of a probe.
    :ivar buckets: upper bounds of its histograms, in seconds.
    :ivar reconnect: whether each probe has a new connection.
    :ivar connect: how to connect.
    """

    target: Target
    labels: tuple[tuple[str, str], ...]
    interval: int
    wait: int
    size: int
    buckets: tuple[float, ...]
    reconnect: bool
    connect: ConnectOptions

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """All labels of its metrics: those of no other target are the same."""
        return (("target", self.target.text), *self.labels)


def loadSettings(path: str) -> list[TargetSettings]:
    """
    Read a file.

    :return: its targets, in their order; at least one.
    :raise StartupError: it cannot be read, or is invalid.
    """
    try:
        return _parse(_toml.loads(readRegularFile(path, MAX_FILE_SIZE).decode()))
    except OSError as error:
        fault = str(error.strerror)
    except _toml.TOMLDecodeError as error:
        fault = f"invalid TOML: {error}"
    except ValueError as error:
        fault = str(error)
    except RecursionError:
        fault = "lists or tables are nested too deeply; no key needs more than one list"
    if len(fault) > _MAX_MESSAGE_LENGTH:
        half = _MAX_MESSAGE_LENGTH // 2
        fault = f"{fault[:half]} ... {fault[-half:]}"
    raise StartupError(escaped(f"{path}: {fault}"))


def _parse(document: Mapping[str, Any]) -> list[TargetSettings]:
    tables = document.get("target", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidSetting("target: each target is a table [[target]]")
    defaults = {name: value for name, value in document.items() if name != "target"}
    common = _values(defaults, {**PARSERS, "url": _misplaced, "[[target]]": _misplaced})
    found: dict[object, TargetSettings] = {}
    for number, table in enumerate(tables, 1):
        try:
            for settings in _targetSettings(table, common):
                if settings.key in found:
                    raise InvalidSetting("the same target again; a label can distinguish the two")
                found[settings.key] = settings
        except ValueError as error:
            place = str(table.get("url", "without a url"))[:100]
            raise InvalidSetting(f"target {number} ({place}): {error}") from None
    if not found:
        raise InvalidSetting('no target; add [[target]] and url = "udp://HOST:PORT"')
    return list(found.values())


def _misplaced(value: object) -> object:
    """Refuse a key that only a target has."""
    raise InvalidSetting("belongs under [[target]]")


def _targetSettings(
    table: Mapping[str, Any], common: Mapping[str, Any]
) -> Iterator[TargetSettings]:
    """The targets of a table, one for each of its URLs."""
    own = _values({"url": None, **table}, {**PARSERS, "url": parseURLs})
    values = {**common, **own}
    labels = {**common.get("labels", {}), **own.get("labels", {})}
    family = values.get("family", 0)
    connect = ConnectOptions(
        {4: socket.AF_INET, 6: socket.AF_INET6}.get(family, socket.AF_UNSPEC),
        values.get("source", ""),
        values.get("ca", ""),
        not values.get("insecure", False),
        lookupLifetime=values.get("lookup", 60 * SECOND) / SECOND,
    )
    for url in own["url"]:
        target, size = parseTarget(url), values.get("size", 64)
        _checkPlace(target, family)
        if target.carrier != "udp" and size < 1:
            raise InvalidSetting("size: an empty probe has no echo on a stream; use 1 or more")
        yield TargetSettings(
            target,
            tuple(sorted(labels.items())),
            values.get("interval", SECOND),
            values.get("wait", 2 * SECOND),
            size,
            values.get("buckets", BUCKETS),
            values.get("reconnect", False),
            connect,
        )


def _checkPlace(target: Target, family: int) -> None:
    """Refuse a target that no lookup or connection can reach."""
    if target.carrier == "unix":
        if "\0" in target.path[1:]:
            raise InvalidSetting("a path has no NUL character")
        return
    if not _HOST.fullmatch(target.host):
        raise InvalidSetting(f"invalid host {target.host!r} (a name or a numeric address)")
    try:
        version = ip_address(target.host).version
    except ValueError:
        return
    if family not in (0, version):
        raise InvalidSetting(f"family: {family}, but {target.host} is an IPv{version} address")


def _values(
    table: Mapping[str, Any], parsers: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """The parsed values of a table."""
    found = {}
    for name, value in table.items():
        if name not in parsers:
            known = f" (known: {', '.join(parsers)})"
            raise InvalidSetting(f"unknown key {name!r}{suggestion(name, parsers) or known}")
        try:
            found[name] = parsers[name](value)
        except ValueError as error:
            raise InvalidSetting(f"{name}: {error}") from None
    return found


def summaryOf(settings: Sequence[TargetSettings]) -> str:
    """The number of targets and of all their probes in a second, for people."""
    rate = sum(SECOND / target.interval for target in settings)
    targets = "1 target" if len(settings) == 1 else f"{len(settings)} targets"
    return f"{targets}, {rate:g} {'probe' if rate == 1 else 'probes'} per second"
