from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission import refusals
from echoproto.protocols.admission.refusals import Refusal


class RefusalsTests(SynchronousTestCase):
    def test_groups(self) -> None:
        """A reason of PROXY headers or of TLS is no reason of plain connections or datagrams."""
        groups = (refusals.HEADER_REFUSALS, refusals.HANDSHAKE_REFUSALS)
        everywhere = {*refusals.CONNECTION_REFUSALS, *refusals.DATAGRAM_REFUSALS}
        special = [refusal for group in groups for refusal in group]
        self.assertEqual(len(special), len(set(special)))
        self.assertEqual(everywhere & set(special), set())
        self.assertEqual(
            set(Refusal) - everywhere - set(special), {Refusal.OWN_REPLY, Refusal.AMPLIFYING}
        )
