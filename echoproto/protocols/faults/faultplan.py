"""
Faults on purpose: which fault happens to which datagram, or to which byte of a stream.

Only decisions are made here, from a seed: the nth datagram of a listener, and the nth connection of
a listener, have the same faults in every run with the same seed. They are carried out by
:mod:`echoproto.protocols.faults.faulty`.

=============== ========= ==========================================================================
``delay``       both      everything arrives later; with ``±`` by a time within these limits, so
                          that datagrams may overtake each other. A stream stays in order.
``loss``        datagrams not answered
``duplicate``   datagrams answered twice
``corrupt``     both      one byte is changed: of a datagram, or of 1,024 bytes of a stream
``close-after`` streams   the connection is closed, in order, after this number of bytes
=============== ========= ==========================================================================

A stream that loses or repeats bytes would not be TCP, so these two are for datagrams only. At most
one of ``loss``, ``duplicate`` and ``corrupt`` happens to a datagram, so that a client can find
every fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from math import inf, log
from random import Random

from echoproto.text.suggestion import suggestion
from echoproto.text.units import SECOND, parseDuration, parseSize, size

#: The kinds of faults that datagrams and streams can have.
DATAGRAM_FAULTS = frozenset({"delay", "loss", "duplicate", "corrupt"})
STREAM_FAULTS = frozenset({"delay", "corrupt", "close-after"})

#: Bytes of a stream of which one may be corrupt.
BLOCK_SIZE = 1024

#: Maximum delay in seconds: longer than any way around the world, shorter than the timeouts.
MAX_DELAY = 60.0

_FORM = "form: delay=20ms±5ms loss=1% duplicate=0.5% corrupt=0.1% close-after=1MiB"


@dataclass(frozen=True)
class FaultPlan:
    """
    The faults of a listener.

    :ivar delay: in seconds.
    :ivar jitter: the delay varies by as many seconds, up and down.
    :ivar loss: share of the datagrams that are lost, 0 to 1.
    :ivar duplicate: share of the datagrams that are duplicated.
    :ivar corrupt: share of the datagrams, or of the blocks of a stream, with a changed byte.
    :ivar closeAfter: bytes received on a connection after which it is closed; 0 for never.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    closeAfter: int = 0

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its faults."""
        return frozenset(_nameOf(field.name) for field in fields(self) if getattr(self, field.name))

    def only(self, kinds: frozenset[str]) -> FaultPlan:
        """The faults of these kinds."""
        others = [field.name for field in fields(self) if _nameOf(field.name) not in kinds]
        return replace(self, **dict.fromkeys(others, 0))

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def __str__(self) -> str:
        shares = {name: getattr(self, name) * 100 for name in _SHARES}
        texts = [f"{name}={share:g}%" for name, share in shares.items() if share]
        if self.delay:
            jitter = f"±{self.jitter * 1000:g}ms" if self.jitter else ""
            texts.insert(0, f"delay={self.delay * 1000:g}ms{jitter}")
        if self.closeAfter:
            texts.append(f"close-after={size(self.closeAfter)}".replace(" ", ""))
        return " ".join(texts) or "no"


_SHARES = ("loss", "duplicate", "corrupt")


def _nameOf(field: str) -> str:
    return {"jitter": "delay", "closeAfter": "close-after"}.get(field, field)


def parseFaults(text: str) -> FaultPlan:
    """
    A plan from text such as ``delay=20ms±5ms loss=1%``; ``no`` means no faults. Commas separate as
    spaces do, and ``+-`` stands for ``±``.

    :raise ValueError: it is invalid; the message is one line.
    """
    if text.strip() == "no":
        return FaultPlan()
    values: dict[str, float] = {}
    words = text.replace(",", " ").split()
    for word in words:
        name, _, value = word.partition("=")
        if name in values:
            raise ValueError(f"invalid faults {text!r}: {name} is repeated")
        if name in _SHARES:
            values[name] = _parseShare(word, value)
        elif name == "delay":
            values |= _parseDelay(word, value)
        elif name == "close-after":
            values["closeAfter"] = parseSize(value)
        else:
            kinds = (*_SHARES, "delay", "close-after")
            raise ValueError(f"invalid fault {word!r} ({_FORM}){suggestion(name, kinds)}")
    if not words:
        raise ValueError(f"no fault ({_FORM})")
    if sum(values.get(name, 0) for name in _SHARES) > 1:
        raise ValueError(f"invalid faults {text!r}: the shares are together more than 100%")
    return FaultPlan(**values)  # type: ignore[arg-type]


def _parseShare(word: str, text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = inf
    if not (text.endswith("%") and 0 < share <= 1):
        raise ValueError(f"invalid share {word!r} (more than 0% and at most 100%)")
    return share


def _parseDelay(word: str, text: str) -> dict[str, float]:
    middle, sign, jitter = text.replace("+-", "±").partition("±")
    delay, variation = parseDuration(middle) / SECOND, parseDuration(jitter) / SECOND if sign else 0
    if not (0 < delay <= MAX_DELAY and variation <= delay):
        raise ValueError(
            f"invalid delay {word!r} (at most {MAX_DELAY:g}s, varied by at most the delay)"
        )
    return {"delay": delay, "jitter": variation}


class DatagramFaults:
    """
    Decides on the datagrams of one listener.

    :param plan: the faults.
    :param seed: of the decisions.
    :param counts: the faults are counted here, by kind.
    """

    def __init__(self, plan: FaultPlan, seed: int, counts: Counter[str]) -> None:
        self.plan = plan
        self.counts = counts
        self._random = Random(f"{seed} datagrams")

    def copies(self, datagram: bytes) -> list[tuple[float, bytes]]:
        """
        The datagrams that arrive instead of this one, with their delays in seconds: none, one or
        two.
        """
        plan, counts = self.plan, self.counts
        # Always as many draws, so that a decision depends on nothing but the number of the
        # datagram.
        kind, place, change, *delays = [self._random.random() for _ in range(5)]
        isDuplicated = False
        if kind < plan.loss:
            counts["loss"] += 1
            return []
        if kind < plan.loss + plan.duplicate:
            counts["duplicate"] += 1
            isDuplicated = True
        elif kind < plan.loss + plan.duplicate + plan.corrupt and datagram:
            counts["corrupt"] += 1
            changed = bytearray(datagram)
            changed[int(place * len(changed))] ^= 1 + int(change * 255)
            datagram = bytes(changed)
        if not isDuplicated:
            del delays[1:]
        if plan.delay:
            counts["delay"] += len(delays)
        return [(plan.delay + (2 * draw - 1) * plan.jitter, datagram) for draw in delays]


class StreamFaults:
    """
    Decides on the bytes of one connection.

    :param plan: the faults.
    :param seed: of the decisions.
    :param number: number of the connection on its listener.
    :param counts: the faults are counted here, by kind.
    :ivar untilClose: bytes until the connection is to be closed; ``inf`` for never.
    """

    def __init__(self, plan: FaultPlan, seed: int, number: int, counts: Counter[str]) -> None:
        self.plan = plan
        self.counts = counts
        self.untilClose: float = plan.closeAfter or inf
        self._bytes = Random(f"{seed} bytes {number}")
        # Apart from the others, because the kernel decides how many pieces there are.
        self._delays = Random(f"{seed} delays {number}")
        self._received = 0
        self._block = -1
        self._nextCorrupt: float = 0
        self._drawCorrupt()

    def _drawCorrupt(self) -> None:
        """Decide which byte will be the next corrupt one."""
        share = self.plan.corrupt
        if not share:
            self._nextCorrupt = inf
            return
        # The number of blocks before it has a geometric distribution.
        skipped = int(log(1 - self._bytes.random()) / log(1 - share)) if share < 1 else 0
        self._block += 1 + skipped
        self._nextCorrupt = self._block * BLOCK_SIZE + self._bytes.randrange(BLOCK_SIZE)

    def damage(self, data: bytes) -> bytes:
        """The next bytes of the stream, with corrupt ones among them."""
        start = self._received
        self._received += len(data)
        if self._nextCorrupt >= self._received:
            return data
        changed = bytearray(data)
        while self._nextCorrupt < self._received:
            changed[int(self._nextCorrupt) - start] ^= self._bytes.randrange(1, 256)
            self.counts["corrupt"] += 1
            self._drawCorrupt()
        return bytes(changed)

    def delay(self) -> float:
        """The delay in seconds of the next piece."""
        self.counts["delay"] += 1
        return self.plan.delay + self._delays.uniform(-1, 1) * self.plan.jitter
