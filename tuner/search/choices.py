"""Domains that are written out, value by value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tuner.search.domain import cell, check_points, number, refuse
from tuner.trial import Value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values, in the order given, all equally likely; a grid takes them all."""

    kind: ClassVar[str] = "choice"
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        check_values(self, self.values)

    def from_unit(self, u: float) -> Value:
        return self.values[cell(u, len(self.values))]

    def to_unit(self, v: Value) -> float:
        return place(self, self.values, v)

    def grid(self, n: int) -> list[Value]:
        check_points(self, n)
        return list(self.values)

    def arguments(self) -> list[Value]:
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Grid:
    """One of the numbers, sorted, all equally likely: an axis whose points are written out; a grid takes them all."""

    kind: ClassVar[str] = "grid"
    points: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))
        check_values(self, self.points)
        for point in self.points:
            number(self, point, "points must be numbers (names go into a choice)")
        object.__setattr__(self, "points", tuple(sorted(self.points)))

    def from_unit(self, u: float) -> float:
        return self.points[cell(u, len(self.points))]

    def to_unit(self, v: Value) -> float:
        return place(self, self.points, v)

    def grid(self, n: int) -> list[Value]:
        check_points(self, n)
        return list(self.points)

    def arguments(self) -> list[Value]:
        return list(self.points)


def check_values(domain: Choice | Grid, values: Sequence[object]) -> None:
    """Raises DomainError unless there are values, all of them plain and finite, none of them twice."""
    if not values:
        refuse(domain, "needs at least one value")
    for i, value in enumerate(values):
        if not isinstance(value, bool | int | float | str):
            refuse(domain, f"values must be numbers, names, true or false, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            refuse(domain, f"numbers must be finite, got {value!r}")
        if value in values[:i]:
            refuse(domain, f"{value!r} is named twice: name each value once")


def place(domain: Choice | Grid, values: Sequence[Value], v: Value) -> float:
    """The middle of the cell of `v` on the unit interval. Raises DomainError if it is not among `values`."""
    if v not in values:
        refuse(domain, f"{v!r} is not among the values")
    return (values.index(v) + 0.5) / len(values)
