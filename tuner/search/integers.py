"""Domains of whole numbers: each has its cell of the unit interval, and stands at the middle of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tuner.search.domain import cell, check_order, clip, equidistant, inside, mix, number, refuse, share
from tuner.trial import Value


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers of [low, high], both included: cells of equal width on [0, 1]."""

    kind: ClassVar[str] = "int"
    low: int
    high: int

    def __post_init__(self) -> None:
        set_bounds(self)

    def from_unit(self, u: float) -> int:
        return self.low + cell(u, self.high - self.low + 1)

    def to_unit(self, v: Value) -> float:
        return (whole(self, v) - self.low + 0.5) / (self.high - self.low + 1)

    def grid(self, n: int) -> list[Value]:
        return distinct([round(mix(self.low, self.high, u)) for u in equidistant(self, n)])

    def arguments(self) -> list[Value]:
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class LogInt:
    """Whole numbers of [low, high], both included; v has the cell [v - 1/2, v + 1/2] of a logarithmic line."""

    kind: ClassVar[str] = "log_int"
    low: int
    high: int

    def __post_init__(self) -> None:
        set_bounds(self)
        if self.low < 1:
            refuse(self, "low must be at least 1, because the logarithm of 0 is not a number: start at 1, or use int")

    def from_unit(self, u: float) -> int:
        line = mix(math.log(self.low - 0.5), math.log(self.high + 0.5), u)
        return int(clip(self, math.floor(math.exp(line) + 0.5)))

    def to_unit(self, v: Value) -> float:
        x = whole(self, v)
        centre = (math.log(x - 0.5) + math.log(x + 0.5)) / 2
        return share(math.log(self.low - 0.5), math.log(self.high + 0.5), centre)

    def grid(self, n: int) -> list[Value]:
        line = [mix(math.log(self.low), math.log(self.high), u) for u in equidistant(self, n)]
        return distinct([int(clip(self, round(math.exp(x)))) for x in line])

    def arguments(self) -> list[Value]:
        return [self.low, self.high]


def set_bounds(domain: Int | LogInt) -> None:
    """Makes both ends ints. Raises DomainError unless they are whole numbers and low is below high."""
    for name, end in (("low", domain.low), ("high", domain.high)):
        bound = number(domain, end, "low and high must be whole numbers")
        if not bound.is_integer() or abs(bound) > 1e12:
            refuse(domain, f"{name} must be a whole number of at most 1e12 in size, got {end!r}: round it")
        object.__setattr__(domain, name, int(end))
    check_order(domain)


def whole(domain: Int | LogInt, v: Value) -> float:
    """`v`, if it is a whole number of the domain. Raises DomainError if not."""
    x = inside(domain, v)
    if x != int(x):
        refuse(domain, f"{v!r} is not a whole number")
    return x


def distinct(values: Sequence[int]) -> list[Value]:
    """`values` without repetitions, in the same order."""
    return list(dict.fromkeys(values))
