"""Boxes of the unit cube, axis by axis: an interval of an ordered axis, weights for the values of a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.search.space import Axis, Choice, Domain, Space

EDGE = 0.1  # the outer tenth of a box, on either side, is its edge
SLOWEST = 0.25  # a box keeps at least this part of its width: a few good ones may lie close together by chance


@dataclass(frozen=True, slots=True)
class Interval:
    """The part [low, high] of an ordered axis of length 1, and why this one."""

    low: float
    high: float
    reason: str

    def place(self, u: float) -> float:
        """The coordinate at `u` (0 to 1) of the way through."""
        return self.low + u * (self.high - self.low)

    def holds(self, coordinate: float) -> bool:
        """Whether `coordinate` lies inside."""
        return self.low <= coordinate <= self.high

    def told(self, domain: Domain) -> dict[str, Any]:
        """As plain data, with the values at both ends."""
        ends = {"from": domain.from_unit(self.low), "to": domain.from_unit(self.high)}
        return {"low": self.low, "high": self.high, **ends, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Shares:
    """How often each value of a choice is drawn (they sum to 1), and why."""

    shares: tuple[float, ...]
    reason: str

    def place(self, u: float) -> float:
        """The middle of the cell of the value at `u` (0 to 1) of the shares laid end to end."""
        at = 0
        while at < len(self.shares) - 1 and u >= self.shares[at]:
            u -= self.shares[at]
            at += 1
        return (at + 0.5) / len(self.shares)

    def holds(self, coordinate: float) -> bool:  # noqa: ARG002  # every value has its share
        """Always: no value is left out."""
        return True

    def told(self, domain: Domain) -> dict[str, Any]:
        """As plain data: pairs of value and share."""
        shares = [[value, share] for value, share in zip(domain.arguments(), self.shares, strict=True)]
        return {"shares": shares, "reason": self.reason}


Part = Interval | Shares
Bounds = tuple[float, float]
WHOLE: Bounds = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Zoom:
    """The trials come in `rounds`; from the second one on, the share `outside` (0 to 1) is drawn outside of the box.

    `bounds` has the part of an axis that is drawn from at first, where that is not all of it: only boxes whose best
    trial lies at their edge go beyond.
    """

    rounds: int = 6
    outside: float = 0.2
    bounds: Mapping[str, Bounds] = field(default_factory=dict)


def first_part(axis: Axis, bounds: Bounds) -> Part:
    """What is drawn from before anything is known: `bounds` of an ordered axis, all values of a choice alike."""
    if isinstance(axis.domain, Choice):
        count = len(axis.domain.values)
        return Shares((1 / count,) * count, "all values alike")
    within = "all of the axis" if bounds == WHOLE else "all that the spec names; it may grow beyond"
    return Interval(*bounds, within)


def next_part(axis: Axis, last: Part, good: Sequence[float]) -> Part:
    """The part of `axis` around `good`, coordinates of good trials, the best one first.

    Trials of which the axis is inactive are not among them; with fewer than two, it stays as it was.
    """
    if len(good) < 2:
        few = "none" if not good else "one only"
        reason = f"as before: {few} of the good ones has it"
        return Interval(last.low, last.high, reason) if isinstance(last, Interval) else Shares(last.shares, reason)
    if isinstance(last, Shares):
        return _weighed(axis.domain, good, len(last.shares))
    return _around(axis.domain, last, good)


def distance(space: Space, a: Sequence[float], b: Sequence[float]) -> float:
    """Mean distance of two points along the axes that are active at either; two values of a choice are 1/2 apart."""
    active = {*space.decode(a), *space.decode(b)}
    gaps = [
        (0.5 if x != y else 0.0) if isinstance(axis.domain, Choice) else abs(x - y)
        for axis, x, y in zip(space.axes, a, b, strict=True)
        if axis.name in active
    ]
    return sum(gaps) / max(len(gaps), 1)


def _weighed(domain: Domain, good: Sequence[float], values: int) -> Shares:
    """By how many of the good ones have it, with one more for every value (Laplace's rule): none dies out."""
    counts = [1] * values
    for coordinate in good:
        counts[min(int(coordinate * values), values - 1)] += 1
    most = domain.from_unit((counts.index(max(counts)) + 0.5) / values)
    return Shares(
        tuple(count / sum(counts) for count in counts),
        f"{most!r} most: {max(counts) - 1} of the {len(good)} good ones have it",
    )


def _around(domain: Domain, last: Interval, good: Sequence[float]) -> Interval:
    """As wide as the good ones suggest; beyond an edge on which the best one lies.

    Of n uniform draws from an interval, the extremes leave on average (their distance) / (n - 1) on either side.
    So where an axis does not matter, its part stays about as wide as it was.
    """
    width, inner = last.high - last.low, max(good) - min(good)
    margin = max(inner / (len(good) - 1), (SLOWEST * width - inner) / 2)
    low, high = min(good) - margin, max(good) + margin
    ends = f"{_short(domain.from_unit(min(good)))} to {_short(domain.from_unit(max(good)))}"
    reason = f"{len(good)} good ones lie in {ends}"
    if last.low > 0 and good[0] < last.low + EDGE * width:
        low = min(low, last.low - width / 2)
        reason += "; it grows at its low edge, where the best one lies"
    if last.high < 1 and good[0] > last.high - EDGE * width:
        high = max(high, last.high + width / 2)
        reason += "; it grows at its high edge, where the best one lies"
    return Interval(max(low, 0.0), min(high, 1.0), reason)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
