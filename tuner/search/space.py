"""The space of a search: axes by importance, values that are fixed, and which of them are active when.

Activity is pure data: a condition is a tuple of requirements on other hyperparameters, all of which must hold.
A hyperparameter whose requirement names an inactive one is inactive too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.search.choices import Choice, Grid
from tuner.search.domain import Domain, DomainError
from tuner.search.domains import DOMAINS, LISTED, domain_of, written
from tuner.search.integers import Int, LogInt
from tuner.search.reals import LogUniform, OneMinusLogUniform, Uniform
from tuner.trial import Value

__all__ = [
    "ALWAYS",
    "DOMAINS",
    "LARGEST_GRID",
    "LISTED",
    "AtLeast",
    "Axis",
    "Choice",
    "Condition",
    "Domain",
    "DomainError",
    "Grid",
    "Int",
    "LogInt",
    "LogUniform",
    "OneMinusLogUniform",
    "OneOf",
    "Space",
    "Uniform",
    "domain_of",
    "written",
]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The hyperparameter `name` is active and has one of `values`."""

    name: str
    values: tuple[Value, ...]

    def allows(self, value: Value) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The hyperparameter `name` is active and is a number of at least `least`."""

    name: str
    least: float

    def allows(self, value: Value) -> bool:
        return not isinstance(value, str) and value >= self.least


LARGEST_GRID = 1_000_000
"""Combinations beyond which a grid is refused: it would not be finished, and its order is held in memory."""
Condition = tuple[OneOf | AtLeast, ...]
ALWAYS: Condition = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched hyperparameter: its name, its domain, and when it is active."""

    name: str
    domain: Domain
    active: Condition = ALWAYS


@dataclass(frozen=True)
class Space:
    """What a search may draw: `axes` by falling importance, `fixed` values, `conditions` of fixed names.

    A point is one coordinate of [0, 1] per axis, in the order of the axes. Raises DomainError if a name is
    given twice, or if a condition names an unknown hyperparameter or, through others, its own.
    """

    axes: tuple[Axis, ...]
    fixed: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes] + list(self.fixed)
        for name in names:
            if names.count(name) > 1:
                raise DomainError(f"{name} is given twice: search it or fix it, not both")
            self._check_condition(name, ())

    def decode(self, point: Sequence[float]) -> dict[str, Value]:
        """The active hyperparameters at `point`, searched ones first; inactive ones are left out."""
        if len(point) != len(self.axes):
            raise DomainError(f"a point of this space has {len(self.axes)} coordinates, got {len(point)}")
        values = {axis.name: axis.domain.from_unit(u) for axis, u in zip(self.axes, point, strict=True)}
        values |= self.fixed
        return {name: value for name, value in values.items() if self._active(name, values)}

    def encode(self, params: Mapping[str, Value]) -> tuple[float, ...]:
        """A point that decodes to `params`; axes that `params` leaves out stand at 0.5.

        Raises DomainError if a value lies outside its axis.
        """
        return tuple(axis.domain.to_unit(params[axis.name]) if axis.name in params else 0.5 for axis in self.axes)

    def combinations(self, points: int) -> int:
        """How many combinations a grid of `points` values per axis has (a choice counts all its values)."""
        return math.prod(len(axis.domain.grid(points)) for axis in self.axes)

    def pruned(self) -> Space:
        """This space without the hyperparameters that no point makes active."""
        axes = tuple(axis for axis in self.axes if self._possible(axis.name))
        fixed = {name: value for name, value in self.fixed.items() if self._possible(name)}
        kept = {name: condition for name, condition in self.conditions.items() if name in fixed}
        return Space(axes, fixed, kept)

    def _condition(self, name: str) -> Condition:
        for axis in self.axes:
            if axis.name == name:
                return axis.active
        return self.conditions.get(name, ALWAYS)

    def _check_condition(self, name: str, behind: tuple[str, ...]) -> None:
        if name in behind:
            raise DomainError(f"the conditions go in a circle: {' -> '.join((*behind, name))}")
        if name not in self.fixed and all(axis.name != name for axis in self.axes):
            raise DomainError(f"{behind[-1]} depends on {name!r}, which is neither searched nor fixed")
        for requirement in self._condition(name):
            self._check_condition(requirement.name, (*behind, name))

    def _active(self, name: str, values: Mapping[str, Value]) -> bool:
        return all(
            requirement.allows(values[requirement.name]) and self._active(requirement.name, values)
            for requirement in self._condition(name)
        )

    def _possible(self, name: str) -> bool:
        return all(
            self._possible(requirement.name) and any(map(requirement.allows, self._candidates(requirement.name)))
            for requirement in self._condition(name)
        )

    def _candidates(self, name: str) -> list[Value]:
        if name in self.fixed:
            return [self.fixed[name]]
        # Conditions ask for the value of a choice or for the size of a whole number: the ends decide.
        return next(axis.domain.grid(2) for axis in self.axes if axis.name == name)
