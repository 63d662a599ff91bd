"""Listeners that are opened on a fake machine."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.config.listener import Listener
from echoproto.server.config.settings import Settings
from echoproto.server.listeners.listenerservice import ListenerService
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.server.fakemachine import FakeMachine


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.fake = FakeMachine()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def service(self, *groups: list[Listener], **options: Any) -> ListenerService:
        settings = Settings(groups, **options)
        return ListenerService(self.reactor, settings, self.fake.machine(), Factory)

    def connect(self, factory: Any) -> tuple[RecordingProtocol, StreamPair]:
        client = RecordingProtocol()
        return client, StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))

    def logged(self) -> list[str]:
        return [formatEvent(event) for event in self.log]
