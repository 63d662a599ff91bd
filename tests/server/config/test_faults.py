from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.protocols.faults.faultplan import FaultPlan, parseFaults
from echoproto.server.config.faults import splitFaults, withDefaultFaults, withFaults
from echoproto.server.config.listener import Listener

TCP, UDP = Listener("echo", "tcp:7"), Listener("echo", "udp:7")
STATUS = Listener("status", "tcp:9")


class WithFaultsTests(SynchronousTestCase):
    def test_split(self) -> None:
        """The faults are apart from the rest of a description."""
        self.assertEqual(
            splitFaults("udp:7:fault=loss=1%:interface=x"), ("udp:7:interface=x", "loss=1%")
        )
        self.assertEqual(splitFaults("tcp:7:fault="), ("tcp:7", ""))

    def test_carriers(self) -> None:
        """Each listener has the faults that are possible for its carrier."""
        tcp, udp = withFaults([TCP, UDP], "corrupt=1% loss=1% close-after=9", "7")
        self.assertEqual(tcp.faults, parseFaults("corrupt=1% close-after=9"))
        self.assertEqual(udp.faults, parseFaults("corrupt=1% loss=1%"))

    def test_impossible(self) -> None:
        """A fault that none of the listeners can have is refused."""
        for listener, text, words in (
            (TCP, "loss=1%", "invalid listener 'the text': loss: possible for datagrams only"),
            (UDP, "close-after=9", "close-after: possible for streams only"),
            (STATUS, "delay=1s", "a status listener has no faults"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                withFaults([listener], text, "the text")


class WithDefaultFaultsTests(SynchronousTestCase):
    def test_default(self) -> None:
        """--fault is for every listener without fault=, except those for the status."""
        own = withFaults([UDP], "loss=2%", "")
        off = withFaults([TCP], "no", "")
        plan = parseFaults("loss=1% close-after=9")
        groups, seed = withDefaultFaults([[TCP, UDP], own, off, [STATUS]], plan, 7)
        self.assertEqual(seed, 7)
        self.assertEqual(
            [[listener.faults for listener in group] for group in groups],
            [
                [parseFaults("close-after=9"), parseFaults("loss=1%")],
                [parseFaults("loss=2%")],
                [FaultPlan()],
                [None],
            ],
        )

    def test_none(self) -> None:
        """Without --fault the others have no faults; the seed is random by default."""
        groups, seed = withDefaultFaults([[TCP]], None, None)
        self.assertFalse(groups[0][0].faults)
        self.assertIn(seed, range(1 << 24))

    def test_impossible(self) -> None:
        """A fault that no listener can have stops the start."""
        with self.assertRaisesRegex(StartupError, "--fault: loss: possible for datagrams only"):
            withDefaultFaults([[TCP]], parseFaults("loss=1%"), 7)
