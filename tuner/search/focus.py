"""Boxes around known configurations: how many draws they get, how wide they are, and when the next ones are wider."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.search.space import Axis, Choice, Space
from tuner.search.starts import Start, start_of
from tuner.trial import Value

WIDEST = 0.5  # the box is the whole axis


@dataclass(frozen=True, slots=True)
class Focus:
    """A `share` (0 to 1) of the draws is made in boxes of half-width `width` (up to 0.5, on axes of length 1).

    `widths` has the half-widths of axes that have another one.
    """

    share: float = 0.5
    width: float = 0.2
    widths: Mapping[str, float] = field(default_factory=dict)

    def half(self, axis: str) -> float:
        """The half-width of a box along `axis`."""
        return self.widths.get(axis, self.width)

    def left(self, draws: int) -> int:
        """How many of the first `draws` draws after the start are made in no box: all but the share, rounded down."""
        return max(draws, 0) - math.floor(max(draws, 0) * self.share)

    def around(self, start: Start, axes: Sequence[Axis], drawn: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """The point in the box around `start` that `drawn` names: for each axis a place (0 to 1) and a chance.

        On a choice the start's value is kept unless the chance (0 to 1) is below the half-width. An axis of which the
        start says nothing is drawn from all of it.
        """
        point = []
        for axis, centre, known, (place, chance) in zip(axes, start.point, start.known, drawn, strict=True):
            half = self.half(axis.name)
            if not known or (isinstance(axis.domain, Choice) and chance < half):
                point.append(place)
            elif isinstance(axis.domain, Choice):
                point.append(centre)
            else:
                low, high = _sides(centre, half)
                point.append(low + place * (high - low))
        return tuple(point)


def grown(
    space: Space, last: Focus, base: Focus, centre: Mapping[str, Value], winner: Mapping[str, Value]
) -> dict[str, float]:
    """The `widths` of the next boxes, after `winner` came out of a search that had boxes of `last` around `centre`.

    Twice as wide (half-width up to 0.5) along each axis on which the winner lies in the outer tenth of the box (the
    last 5% on either side), or beyond it, or has another value of a choice; elsewhere the widths of `base`. A side
    of the box that is an end of the axis has nothing beyond it and is no reason to grow.
    """
    old, new = start_of(space, centre), start_of(space, winner)
    widths = {name: half for name, half in base.widths.items() if any(axis.name == name for axis in space.axes)}
    for i, axis in enumerate(space.axes):
        half = last.half(axis.name)
        if old.known[i] and new.known[i] and _at_edge(axis, old.point[i], half, new.point[i]):
            widths[axis.name] = min(2 * half, WIDEST)
    return widths


def _at_edge(axis: Axis, centre: float, half: float, u: float) -> bool:
    if isinstance(axis.domain, Choice):
        return u != centre
    low, high = _sides(centre, half)
    margin = 0.05 * (high - low)
    return (low > 0 and u < low + margin) or (high < 1 and u > high - margin)


def _sides(centre: float, half: float) -> tuple[float, float]:
    """The box along one axis: 2 * `half` wide, `centre` in its middle unless it would leave [0, 1]."""
    if centre + half >= 1:
        return 1 - 2 * half, 1.0
    low = max(centre - half, 0.0)
    return low, low + 2 * half
