from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.admission.refusals import Refusal


class ConnectionAdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def verdicts(self, admission: ConnectionAdmission, *hosts: str | None) -> list[Refusal | None]:
        return [admission.admit(host) for host in hosts]

    def test_noLimits(self) -> None:
        """Without limits every client is admitted and counted, and the room is infinite."""
        admission = ConnectionAdmission(self.clock.seconds)
        self.assertEqual(set(self.verdicts(admission, *["192.0.2.1"] * 1000)), {None})
        self.assertEqual((admission.open, admission.room), (1000, inf))

    def test_full(self) -> None:
        """When all places are taken no client is admitted until one is released."""
        admission = ConnectionAdmission(self.clock.seconds, maximum=2)
        verdicts = self.verdicts(admission, "192.0.2.1", "192.0.2.2", "192.0.2.3", None)
        self.assertEqual(verdicts, [None, None, Refusal.FULL, Refusal.FULL])
        self.assertEqual((admission.open, admission.room), (2, 0))
        admission.release("192.0.2.1")
        self.assertEqual((admission.open, admission.room), (1, 1))
        self.assertIsNone(admission.admit("192.0.2.3"))

    def test_zeroMaximum(self) -> None:
        """With a maximum of zero no client is admitted."""
        admission = ConnectionAdmission(self.clock.seconds, maximum=0)
        self.assertEqual(self.verdicts(admission, "192.0.2.1", None), [Refusal.FULL] * 2)

    def test_users(self) -> None:
        """A source without an address is its user; if that is unknown, it is not limited."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        self.assertIsNone(admission.admit(None, 1000))
        self.assertIs(admission.admit(None, 1000), Refusal.SOURCE_FULL)
        self.assertIsNone(admission.admit(None, 1001))
        self.assertIsNone(admission.admit(None))
        self.assertIsNone(admission.admit(None))
        admission.release(None, 1000)
        self.assertIsNone(admission.admit(None, 1000))

    def test_sourceFull(self) -> None:
        """A source at its limit is refused until it releases a place; others are admitted."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=1)
        verdicts = self.verdicts(admission, "192.0.2.1", "192.0.2.1", "192.0.2.2")
        self.assertEqual(verdicts, [None, Refusal.SOURCE_FULL, None])
        admission.release("192.0.2.1")
        self.assertIsNone(admission.admit("192.0.2.1"))

    def test_oneOfSeveralReleased(self) -> None:
        """A source that releases one of its places can take one more, not two."""
        admission = ConnectionAdmission(self.clock.seconds, perSource=2)
        self.verdicts(admission, "192.0.2.1", "192.0.2.1")
        admission.release("192.0.2.1")
        verdicts = self.verdicts(admission, "192.0.2.1", "192.0.2.1")
        self.assertEqual(verdicts, [None, Refusal.SOURCE_FULL])

    def test_oneSource(self) -> None:
        """Mapped IPv4 addresses count as plain ones, and all addresses of a /64 count together."""
        for one, same, other in (
            ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ):
            admission = ConnectionAdmission(self.clock.seconds, perSource=1)
            verdicts = self.verdicts(admission, one, same, other)
            self.assertEqual(verdicts, [None, Refusal.SOURCE_FULL, None], one)
            admission.release(same)
            self.assertIsNone(admission.admit(one))

    def test_noAddress(self) -> None:
        """Clients without a unicast address count against the maximum only, not as a source."""
        for host in (None, "0.0.0.0", "ff02::1"):
            admission = ConnectionAdmission(self.clock.seconds, maximum=3, perSource=1, rate=1.0)
            verdicts = self.verdicts(admission, host, host, host, host)
            self.assertEqual(verdicts, [None, None, None, Refusal.FULL], host)
            admission.release(host)
            self.assertEqual(admission.open, 2)

    def test_denied(self) -> None:
        """Denied addresses are refused in plain and mapped form; clients without one are not."""
        networks = AddressFilter(allow=["192.0.2.0/24"], deny=["192.0.2.2"])
        admission = ConnectionAdmission(self.clock.seconds, networks=networks)
        hosts = ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.2", "198.51.100.1", "2001:db8::1", None)
        denied = Refusal.DENIED
        self.assertEqual(
            self.verdicts(admission, *hosts), [None, denied, denied, denied, denied, None]
        )
        self.assertEqual(admission.open, 2)

    def test_rate(self) -> None:
        """A source may open its burst at once, then its rate per second, apart from others."""
        admission = ConnectionAdmission(self.clock.seconds, rate=2.0, burst=3.0)
        one = "192.0.2.1"
        self.assertEqual(
            self.verdicts(admission, one, one, one, one, "192.0.2.2"),
            [None, None, None, Refusal.RATE, None],
        )
        self.clock.advance(0.5)
        self.assertEqual(self.verdicts(admission, one, one), [None, Refusal.RATE])

    def test_closingReturnsNoToken(self) -> None:
        """Connections that are opened and closed again and again are limited by the rate too."""
        admission = ConnectionAdmission(self.clock.seconds, rate=2.0)
        for _ in range(2):
            self.assertIsNone(admission.admit("192.0.2.1"))
            admission.release("192.0.2.1")
        self.assertIs(admission.admit("192.0.2.1"), Refusal.RATE)
        self.assertEqual(admission.open, 0)

    def test_defaultBurst(self) -> None:
        """The default burst is the connections of one second, and at least one."""
        for rate, burst in ((3.0, 3), (0.1, 1)):
            admission = ConnectionAdmission(self.clock.seconds, rate=rate)
            verdicts = self.verdicts(admission, *["192.0.2.1"] * (burst + 1))
            self.assertEqual(verdicts, [None] * burst + [Refusal.RATE])

    def test_order(self) -> None:
        """If several limits apply, the order is: denied, per source, maximum, rate."""
        admission = ConnectionAdmission(
            self.clock.seconds,
            2,
            1,
            rate=1.0,
            burst=1.0,
            networks=AddressFilter(deny=["192.0.2.9"]),
        )
        one, other = "192.0.2.1", "192.0.2.2"
        self.assertEqual(self.verdicts(admission, one, other), [None, None])
        self.assertIs(admission.admit("192.0.2.9"), Refusal.DENIED)
        self.assertIs(admission.admit(one), Refusal.SOURCE_FULL)
        self.assertIs(admission.admit("192.0.2.3"), Refusal.FULL)
        admission.release(one)
        self.assertIs(admission.admit(one), Refusal.RATE)

    def test_refusedTakesNoToken(self) -> None:
        """A refused connection takes no token from its source's rate."""
        for maximum, perSource in ((1.0, inf), (inf, 1.0)):
            admission = ConnectionAdmission(self.clock.seconds, maximum, perSource, 2.0, 2.0)
            refused = self.verdicts(admission, *["192.0.2.1"] * 10)[1:]
            self.assertNotIn(None, refused)
            admission.release("192.0.2.1")
            self.assertIsNone(admission.admit("192.0.2.1"))

    def test_oneSourceCostsAnotherNothing(self) -> None:
        """A source over its own limits takes no places or tokens from other sources."""
        admission = ConnectionAdmission(
            self.clock.seconds,
            maximum=4,
            perSource=2,
            rate=3.0,
            networks=AddressFilter(deny=["::1"]),
        )
        self.verdicts(admission, *["192.0.2.1"] * 1000, *["::1"] * 1000)
        self.assertEqual(admission.open, 2)
        self.assertEqual(self.verdicts(admission, *["192.0.2.2"] * 2), [None, None])

    def test_whenRoom(self) -> None:
        """whenRoom is called exactly when a place becomes free after all were taken."""
        admission = ConnectionAdmission(self.clock.seconds, maximum=2)
        rooms: list[float] = []
        admission.whenRoom = lambda: rooms.append(admission.room)
        self.verdicts(admission, "192.0.2.1", "192.0.2.2")
        admission.admit("192.0.2.3")
        self.assertEqual(rooms, [])
        admission.release("192.0.2.1")
        self.assertEqual(rooms, [1])
        admission.release("192.0.2.2")
        self.assertEqual(rooms, [1])
        self.verdicts(admission, None, None)
        admission.release(None)
        self.assertEqual(rooms, [1, 1])

    def test_noWhenRoom(self) -> None:
        """Without whenRoom, a place is released silently."""
        admission = ConnectionAdmission(self.clock.seconds, maximum=1)
        admission.admit(None)
        admission.release(None)
        self.assertEqual(admission.open, 0)


#: Client addresses and their source; ``None`` if the source has no limit of its own.
SOURCES = {
    "192.0.2.1": "one",
    "::ffff:192.0.2.1": "one",
    "192.0.2.2": "two",
    "2001:db8::1": "site",
    "2001:db8::2": "site",
    "2001:db8:0:1::1": "other site",
    "0.0.0.0": None,
    None: None,
}
DENIED_HOST = "::ffff:198.51.100.9"

admits = st.tuples(st.just("admit"), st.sampled_from([*SOURCES, DENIED_HOST]))
releases = st.tuples(st.just("release"), st.integers(0, 100))
# Multiples of 1/4 are exact in binary, so the model's buckets are exact.
pauses = st.tuples(st.just("wait"), st.integers(0, 8).map(lambda quarters: quarters / 4))


class AdmissionModel:
    """
    The expected behaviour of an admission, in its plainest form: a list of open connections, and
    the tokens of each source.
    """

    def __init__(self, maximum: float, perSource: float, rate: float, burst: float) -> None:
        self.clock = Clock()
        self.admission = ConnectionAdmission(
            self.clock.seconds,
            maximum,
            perSource,
            rate,
            burst,
            AddressFilter(deny=["198.51.100.0/24"]),
        )
        self.admission.whenRoom = self.countRoom
        self.open: list[str | None] = []
        self.rooms = self.expectedRooms = 0
        self._limits = maximum, perSource
        self._rate, self._burst = rate, burst
        self._tokens: dict[str, tuple[float, float]] = {}

    def countRoom(self) -> None:
        self.rooms += 1

    def count(self, source: str) -> int:
        return [SOURCES[host] for host in self.open].count(source)

    def tokens(self, source: str) -> float:
        now = self.clock.seconds()
        level, then = self._tokens.get(source, (self._burst, now))
        return min(self._burst, level + (now - then) * self._rate) if self._rate < inf else inf

    def expected(self, host: str | None) -> Refusal | None:
        maximum, perSource = self._limits
        if host == DENIED_HOST:
            return Refusal.DENIED
        source = SOURCES[host]
        if source is not None and self.count(source) >= perSource:
            return Refusal.SOURCE_FULL
        if len(self.open) >= maximum:
            return Refusal.FULL
        return Refusal.RATE if source is not None and self.tokens(source) < 1 else None

    def admit(self, host: str | None) -> tuple[Refusal | None, Refusal | None]:
        expected = self.expected(host)
        if expected is None:
            source = SOURCES[host]
            if source is not None:
                self._tokens[source] = (self.tokens(source) - 1, self.clock.seconds())
            self.open.append(host)
        return self.admission.admit(host), expected

    def release(self, index: int) -> None:
        if self.open:
            self.expectedRooms += len(self.open) == self._limits[0]
            self.admission.release(self.open.pop(index % len(self.open)))


class AnyOrderTests(SynchronousTestCase):
    @given(
        st.integers(1, 6) | st.just(inf),
        st.integers(1, 3) | st.just(inf),
        st.sampled_from([0.5, 1.0, 2.0, inf]),
        st.sampled_from([1.0, 2.0, 5.0]),
        st.lists(admits | releases | pauses, max_size=60),
    )
    def test_anyOrder(
        self,
        maximum: float,
        perSource: float,
        rate: float,
        burst: float,
        events: list[tuple[str, Any]],
    ) -> None:
        """
        In any order of connections and releases, no limit is exceeded and no place leaks. Clients
        within their own limits are refused only when all places are taken, and ``whenRoom`` is
        called when one becomes free.
        """
        model = AdmissionModel(maximum, perSource, rate, burst)
        for event, value in events:
            if event == "admit":
                self.assertEqual(*model.admit(value))
            elif event == "release":
                model.release(value)
            else:
                model.clock.advance(value)
            self.check(model, maximum, perSource)
        for _ in range(len(model.open)):
            model.release(0)
            self.check(model, maximum, perSource)
        self.assertEqual(model.admission.open, 0)
        self.assertEqual(model.admission._bySource, {})

    def check(self, model: AdmissionModel, maximum: float, perSource: float) -> None:
        admission = model.admission
        self.assertEqual(admission.open, len(model.open))
        self.assertTrue(0 <= admission.open <= maximum)
        self.assertEqual(admission.room, maximum - admission.open)
        self.assertEqual(model.rooms, model.expectedRooms)
        counts = admission._bySource.values()
        self.assertTrue(all(0 < count <= perSource for count in counts), counts)
        self.assertEqual(sum(counts), sum(SOURCES[host] is not None for host in model.open))
