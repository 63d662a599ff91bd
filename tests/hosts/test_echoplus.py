"""Loss by direction, as ``ping --mode udp-plus`` finds it and as the wire has it."""

from __future__ import annotations

import json
import sys

import pytest

from tests.hosts.line import Impairment
from tests.hosts.namespaces import Host
from tests.hosts.wire import PERFECT, Wire
from tests.loopback.program import PATIENCE

pytestmark = pytest.mark.timeout(PATIENCE)

LOSSY = Impairment(delay=0.002, loss=0.05)


@pytest.mark.parametrize(
    ("there", "back"),
    [(LOSSY, PERFECT), (PERFECT, LOSSY), (LOSSY, LOSSY)],
    ids=["up", "down", "both"],
)
def test_directions(there: Impairment, back: Impairment) -> None:
    """
    Losses up and down are those of the wire. With this seed the first and the last probe are
    answered, without which a direction would be unknown.
    """
    with Host() as client, Host() as server, server.serve("--no-echo", "--udp-plus", "udp:7"):
        with Wire(client, server, there, back, seed=2) as wire:
            words = ("-m", "echoproto", "ping", "--mode", "udp-plus", "-c", "500", "-i", "2ms")
            more = ("-W", "500ms", "-o", "json", f"udp://{wire.far}:7")
            [found] = json.loads(client.run(sys.executable, *words, *more))["targets"]
        assert wire.there.entered == 500
        lost = found["udp_plus"]
        assert (lost["lost_up"], lost["lost_down"], lost["lost_unknown"]) == (
            len(wire.there.lost),
            len(wire.back.lost),
            0,
        )
