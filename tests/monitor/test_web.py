from __future__ import annotations

import json
from typing import Any

from echoproto.monitor.monitor import Monitor
from echoproto.monitor.web import monitorSite, webPages
from echoproto.status.pages import Page
from tests.monitor.fakes import ProberTestCase
from tests.monitor.test_settings import settingsOf


class WebTests(ProberTestCase):
    def page(self, path: bytes) -> Page:
        made = webPages(self.monitor, self.clock)[path](None)  # type: ignore[arg-type]
        if isinstance(made, Page):
            return made
        self.clock.advance(0)
        return self.successResultOf(made)

    def setUp(self) -> None:
        super().setUp()
        self.monitor = Monitor(self.clock, list, [settingsOf()], self.now)
        self.monitor.startService()
        self.addCleanup(self.monitor.stopService)

    def test_site(self) -> None:
        """The live page and the page that probes any server exist on request."""
        for web, probe, paths in (
            (False, False, []),
            (True, True, [b"/", b"/targets.json", b"/probe"]),
        ):
            site: Any = monitorSite(self.clock, self.monitor, web, probe)
            self.assertEqual([*site.resource._pages][3:], paths)

    def test_html(self) -> None:
        """The page loads nothing from elsewhere, and may not."""
        text = self.page(b"/").body.decode()
        self.assertIn("default-src 'none'", text)
        self.assertNotIn("https://", text)

    def test_states(self) -> None:
        """A target waits for its first result, then it is up, or down with a reason."""
        states = []
        for isAnswered in (True, True, False):
            self.target.answers = isAnswered
            [target] = json.loads(self.page(b"/targets.json").body)["targets"]
            states.append(target["state"])
            self.advance(10.5)
        [target] = json.loads(self.page(b"/targets.json").body)["targets"]
        self.assertEqual([*states, target["state"]], ["waiting", "up", "up", "down"])
        self.assertEqual((target["name"], target["labels"]), ("udp://127.0.0.1:7", {}))
        self.assertEqual((target["rtt"], target["reason"]), (None, "no reply in 2 s"))
        self.assertEqual(len(target["hour"]), 60)
        sent, lost, *_ = target["hour"][-1]
        self.assertEqual((sent > 20, lost > 5), (True, True))
