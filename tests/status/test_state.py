from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.status.state import IState


class StateTests(SynchronousTestCase):
    def test_methods(self) -> None:
        """A state answers three questions."""
        self.assertEqual(set(IState.names()), {"ready", "notReadyReason", "metrics"})
