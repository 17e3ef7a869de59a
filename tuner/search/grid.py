"""Grid search: every combination of equidistant points, one list of points per axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tuner.search.space import LARGEST_GRID, Axis, DomainError, Space
from tuner.trial import Draw


class GridSampler:
    """All combinations of `points` values per axis, each once, in a seeded shuffled order; then None.

    A shuffled order makes any first part of the grid a fair sample of the whole. Combinations that differ in
    inactive hyperparameters only are one and the same. Without `points`, it is the largest number (at least 2)
    whose combinations are no more than `trials`. Raises DomainError above a million combinations.
    """

    def __init__(self, space: Space, seed: int, trials: int, points: int | None = None) -> None:
        points = points_per_axis(space, trials) if points is None else points
        combinations = space.combinations(points)
        if combinations > LARGEST_GRID:
            raise DomainError(
                f"a grid of {points} points per axis has {combinations:,} combinations, more than {LARGEST_GRID:,}: "
                "fix some hyperparameters, set fewer points, or use sobol"
            )
        self.points = points
        self._space = space
        self._axes = [_unit_points(axis, points) for axis in space.axes]
        self._order = np.random.Generator(np.random.Philox(seed)).permutation(combinations)
        self._drawn: list[tuple[float, ...]] = []
        self._rest = self._walk()

    def ask(self, number: int) -> Draw | None:
        while len(self._drawn) <= number:
            point = next(self._rest, None)
            if point is None:
                return None
            self._drawn.append(point)
        return Draw(self._drawn[number], f"grid point {number}")

    def tell(self, number: int, epochs: int, loss: float) -> None:
        """Nothing is learned from results."""

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        """Nor from those of others."""

    def is_settled(self, number: int) -> bool:  # noqa: ARG002  # none waits for a result
        """Always."""
        return True

    def rounds(self) -> list[dict[str, Any]]:
        """None."""
        return []

    def size(self) -> int:
        """How many points there are. Only hyperparameters that others depend on are walked: the rest multiply."""
        conditions = [*(axis.active for axis in self._space.axes), *self._space.conditions.values()]
        deciding = {requirement.name for condition in conditions for requirement in condition}
        axes = list(zip(self._space.axes, self._axes, strict=True))
        total = 0
        for places in itertools.product(*(range(len(units) if axis.name in deciding else 1) for axis, units in axes)):
            active = self._space.decode([units[place] for (_, units), place in zip(axes, places, strict=True)])
            if all(axis.name in active or place == 0 for (axis, _), place in zip(axes, places, strict=True)):
                total += math.prod(
                    len(units) for axis, units in axes if axis.name in active and axis.name not in deciding
                )
        return total

    def _walk(self) -> Iterator[tuple[float, ...]]:
        for index in self._order.tolist():
            places = _digits(index, [len(axis) for axis in self._axes])
            point = tuple(axis[place] for axis, place in zip(self._axes, places, strict=True))
            active = self._space.decode(point)
            # Of combinations that differ in inactive axes only, the one that has their first values stands for all.
            if all(axis.name in active or place == 0 for axis, place in zip(self._space.axes, places, strict=True)):
                yield point


def points_per_axis(space: Space, trials: int) -> int:
    """The largest number of points per axis, at least 2, whose combinations are no more than `trials`."""
    enough, too_many, most = 2, 3, max(trials, 2) + 1
    while (
        too_many < most and space.combinations(too_many) <= trials
    ):  # doubled, for a look takes as long as it has points
        enough, too_many = too_many, min(2 * too_many, most)
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        if space.combinations(middle) <= trials:
            enough = middle
        else:
            too_many = middle
    return enough


def _unit_points(axis: Axis, points: int) -> list[float]:
    return [axis.domain.to_unit(value) for value in axis.domain.grid(points)]


def _digits(index: int, sizes: list[int]) -> list[int]:
    """The digits of `index` in the mixed number system of `sizes`: index 0..prod(sizes)-1 to one place per axis."""
    digits = []
    for size in sizes:
        index, digit = divmod(index, size)
        digits.append(digit)
    return digits
