"""
The run of ``echoproto monitor``.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import click
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from echoproto.cli.exitcodes import OK
from echoproto.cli.monitor import MonitorOptions
from echoproto.errors import StartupError
from echoproto.monitor.monitor import Monitor
from echoproto.monitor.settings import loadSettings, summaryOf
from echoproto.monitor.web import monitorSite
from echoproto.processes.resources import descriptorLimit, raiseDescriptorLimit
from echoproto.reactors import install
from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import RESERVED_DESCRIPTORS
from echoproto.server.listeners.opener import OpenListener, openStatus
from echoproto.server.listeners.ports import LISTEN_ERRORS, Platform, explainListenError
from echoproto.server.monitoring.logerrors import LogErrors
from echoproto.server.notifier import Notifier, makeWatchdog
from echoproto.server.runner import runForeground, startLog
from echoproto.server.signals import resetSignals
from echoproto.text.untrusted import escaped


def checkFile(options: MonitorOptions) -> int:
    """Check the file; returns the exit status."""
    click.echo(f"{escaped(options.file)}: {summaryOf(loadSettings(options.file))}")
    return OK


def runMonitor(options: MonitorOptions) -> int:
    """Probe until stopped, or check the file; returns the exit status."""
    if options.check:
        return checkFile(options)
    load = partial(loadSettings, options.file)
    settings = load()
    resetSignals()
    raiseDescriptorLimit()
    descriptors = descriptorLimit().number
    if 0 <= descriptors <= RESERVED_DESCRIPTORS:
        raise StartupError(
            f"{descriptors} file descriptors are too few, the reserve is {RESERVED_DESCRIPTORS}; "
            "raise the limit (ulimit -n, LimitNOFILE=)"
        )
    reactor = install.installClientReactor()
    startLog(options.log_format, isBrief=True)
    monitor = Monitor(reactor, load, settings)
    site = monitorSite(reactor, monitor, options.web, options.probe)
    return runForeground(reactor, MonitorProgram(reactor, monitor, options.status, site))


class MonitorProgram(MultiService):
    """
    A monitor with its status listener, signals and notifications to systemd.

    :param reactor: runs everything.
    :param monitor: the monitor.
    :param listener: where the status listener is opened.
    :param site: its pages.
    :param machine: opens it, and handles signals.
    :param notifier: notifies systemd; by default the process's own.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # has many interfaces
        monitor: Monitor,
        listener: Listener,
        site: IProtocolFactory,
        machine: Platform = Platform(),
        notifier: Notifier | None = None,
    ) -> None:
        MultiService.__init__(self)
        self._reactor = reactor
        self._monitor = monitor
        self._listener = listener
        self._site = site
        self._machine = machine
        self._notifier = notifier if notifier is not None else Notifier(os.environ, os.getpid())
        for service in (makeWatchdog(reactor, self._notifier), LogErrors(reactor), monitor):
            service.setServiceParent(self)
        self._status: OpenListener

    def privilegedStartService(self) -> None:
        """
        Open the status listener.

        :raise StartupError: it cannot be opened.
        """
        self._machine.postponeStop(self._reactor, lambda: None)
        try:
            self._status = openStatus(self._machine, self._reactor, self._listener, self._site)
        except LISTEN_ERRORS as error:
            raise StartupError(explainListenError(self._listener, error)) from error

    def startService(self) -> None:
        """Begin to probe."""
        self._machine.ignoreRotation()
        self._machine.onSignal(self._reactor, signal.SIGHUP, self._reload)
        self._machine.onSignal(self._reactor, signal.SIGQUIT, self._monitor.logFigures)
        MultiService.startService(self)
        self._reactor.callWhenRunning(self._announce)

    def _announce(self) -> None:
        self._log.info("status is listening on {place}", place=self._status.place)
        self._notifier.ready("probing")

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            self._monitor.reload()
        finally:
            self._notifier.ready("probing")

    def stopService(self) -> Deferred[None]:
        """Stop; returns when the listener is closed."""
        self._notifier.stopping()
        MultiService.stopService(self)
        self._notifier.close()
        port: Any = self._status.port  # whose stopListening may return None
        return maybeDeferred(port.stopListening)
