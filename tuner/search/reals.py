"""Domains of real numbers, on the scales on which people think of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tuner.search.domain import check_order, check_width, clip, equidistant, inside, mix, number, refuse, share
from tuner.trial import Value


@dataclass(frozen=True, slots=True)
class Uniform:
    """Real numbers of [low, high], all equally likely."""

    kind: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        set_bounds(self)
        check_width(self, self.low, self.high)

    def from_unit(self, u: float) -> float:
        size = min(self.high - self.low, max(abs(self.low), abs(self.high)))
        return readable(self, u, mix(self.low, self.high, u), size)

    def to_unit(self, v: Value) -> float:
        return share(self.low, self.high, inside(self, v))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in equidistant(self, n)]

    def arguments(self) -> list[Value]:
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Real numbers of [low, high] whose logarithm is uniform: every decade is equally likely."""

    kind: ClassVar[str] = "log_uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        set_bounds(self)
        if self.low <= 0:
            refuse(self, "low must be above 0, because the logarithm of 0 is not a number: try 1e-6, or uniform")
        check_width(self, math.log(self.low), math.log(self.high))

    def from_unit(self, u: float) -> float:
        x = clip(self, math.exp(mix(math.log(self.low), math.log(self.high), u)))
        return readable(self, u, x, x)

    def to_unit(self, v: Value) -> float:
        return share(math.log(self.low), math.log(self.high), math.log(inside(self, v)))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in equidistant(self, n)]

    def arguments(self) -> list[Value]:
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class OneMinusLogUniform:
    """Real numbers x of [low, high] below 1 whose 1 - x is log-uniform: for momentum and decay rates near 1.

    Through log1p and expm1, so that neither x near 0 nor x near 1 loses digits.
    """

    kind: ClassVar[str] = "one_minus_log_uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        set_bounds(self)
        if self.high >= 1:
            refuse(self, "high must be below 1, because the logarithm of 1 - high is taken: try 0.999")
        check_width(self, -math.log1p(-self.low), -math.log1p(-self.high))

    def from_unit(self, u: float) -> float:
        x = clip(self, -math.expm1(mix(math.log1p(-self.low), math.log1p(-self.high), u)))
        size = min(abs(x), 1 - x) or 1.0
        return readable(self, u, x, size)

    def to_unit(self, v: Value) -> float:
        return share(math.log1p(-self.low), math.log1p(-self.high), math.log1p(-inside(self, v)))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in equidistant(self, n)]

    def arguments(self) -> list[Value]:
        return [self.low, self.high]


def set_bounds(domain: Uniform | LogUniform | OneMinusLogUniform) -> None:
    """Makes both ends floats. Raises DomainError unless they are finite numbers and low is below high."""
    low, high = (number(domain, end, "low and high must be numbers") for end in (domain.low, domain.high))
    check_order(domain)
    object.__setattr__(domain, "low", low)
    object.__setattr__(domain, "high", high)


def readable(domain: Uniform | LogUniform | OneMinusLogUniform, u: float, x: float, size: float) -> float:
    """`x`, the value at `u`, to 12 digits of `size`: people read 0.001, and what they read is what was trained."""
    if u <= 0 or u >= 1:
        return domain.low if u <= 0 else domain.high
    return clip(domain, round(x, 12 - math.floor(math.log10(size))))
