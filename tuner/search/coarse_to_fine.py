"""Coarse to fine: round after round, the next box is drawn around what was good in the last ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from tuner.search.boxes import WHOLE, Part, Zoom, distance, first_part, next_part
from tuner.search.results import Results
from tuner.search.space import Space
from tuner.trial import Draw, seed_of

TRIES = 64  # to find a point outside of a box that is nearly all of the space
FEWEST = 3  # good trials that make a box


@dataclass(slots=True)
class Round:
    """`trials` draws from number `first` on; `epochs` is the rung at which the `best` trials made its box.

    `points` fill the unit cube evenly; each is stretched to the box.
    """

    index: int
    first: int
    trials: int
    points: qmc.Sobol
    box: tuple[Part, ...]
    epochs: int = 0
    best: tuple[int, ...] = ()

    @property
    def reason(self) -> str:
        if not self.best:
            return "nothing is known yet" if self.index == 0 else "nothing good is known yet"
        told = f"around {len(self.best)} of the best after {self.epochs} epoch{'s' * (self.epochs != 1)}"
        others = sum(number < 0 for number in self.best)
        return f"{told}, {others} of them not its own" if others else told


class CoarseToFine:
    """Even draws from all of the space, then from a box around the good region, which is made anew every round.

    The good region: of the best 2k of all trials so far, at the highest rung to which so many have come, the k that are
    nearest to the best one, for there may be several regions. k is the square root of a round's size. See `boxes` for
    the box that they make; axes are unit intervals, so it is narrow or wide on each axis' own scale.

    Nobody waits for a round's end: the next one begins once half of a round's trials have come to their first rung.
    If trials are asked for before, the round gets more draws, a quarter of its size at a time. All draws of a round
    may be made ahead. The first round has a box, too, where as many results as it has trials are learned of before it.
    Inside a box the draws are a scrambled Sobol sequence; outside, uniform.
    """

    def __init__(self, space: Space, seed: int, trials: int, zoom: Zoom | None = None) -> None:
        self._zoom = zoom or Zoom()
        self._space = space
        self._seed = seed
        self._size = max(1, math.ceil(trials / self._zoom.rounds))
        self._good = max(FEWEST, round(math.sqrt(self._size)))
        self._start = tuple(first_part(axis, self._zoom.bounds.get(axis.name, WHOLE)) for axis in space.axes)
        self._results = Results()
        self._drawn: list[Draw] = []
        self._rounds: list[Round] = []

    def ask(self, number: int) -> Draw:
        while len(self._drawn) <= number:
            if not self.is_settled(len(self._drawn)):
                self._go_on()
            self._drawn.append(self._draw(len(self._drawn), self._rounds[-1]))
        return self._drawn[number]

    def tell(self, number: int, epochs: int, loss: float) -> None:
        self._results.tell(number, epochs, loss)

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        self._results.learn(name, point, epochs, loss)

    def is_settled(self, number: int) -> bool:
        """Whether the draw's round has begun, with which its box stands."""
        return bool(self._rounds) and number < self._rounds[-1].first + self._rounds[-1].trials

    def rounds(self) -> list[dict[str, Any]]:
        """Each round: the numbers of its `trials`, why its box, the `best` trials and rung behind it, and the `box`.

        Those of the best that it did not draw go by their names.

        The box has for each axis `low` and `high` in the unit interval and `from` and `to`, the values there, or
        else `shares` of a choice's values; and the reason.
        """
        return [
            {
                "round": one.index + 1,
                "trials": list(range(one.first, min(one.first + one.trials, len(self._drawn)))),
                "reason": one.reason,
                "epochs": one.epochs,
                "best": [self._results.names.get(number, number) for number in one.best],
                "box": {
                    axis.name: part.told(axis.domain) for axis, part in zip(self._space.axes, one.box, strict=True)
                },
            }
            for one in self._rounds
        ]

    def _go_on(self) -> None:
        """Begins the next round, or has the last one go on where too few of its trials have come back."""
        if self._rounds:
            last = self._rounds[-1]
            back = sum(number in self._results.losses for number in range(last.first, last.first + last.trials))
            if 2 * back < self._size:
                last.trials += max(1, self._size // 4)
                return
        self._begin()

    def _begin(self) -> None:
        index, first = len(self._rounds), len(self._drawn)
        enough = self._rounds or len(self._results.losses) >= self._size
        epochs, best = self._results.best(2 * self._good) if enough else (0, [])
        best = self._near(best)
        box = self._box(best) if best else self._start
        points = qmc.Sobol(d=max(len(box), 1), scramble=True, rng=seed_of(self._seed, "round", index))
        self._rounds.append(Round(index, first, self._size, points, box, epochs, tuple(best)))

    def _near(self, best: list[int]) -> list[int]:
        """Of the trials `best`, best first, those nearest to the first one, in the same order."""
        if len(best) <= self._good:
            return best
        first = self._point(best[0])
        gaps = {number: distance(self._space, first, self._point(number)) for number in best}
        near = sorted(best, key=gaps.__getitem__)[: self._good]  # a stable sort: of equally near ones, the better
        return [number for number in best if number in near]

    def _box(self, best: list[int]) -> tuple[Part, ...]:
        points = [self._point(number) for number in best]
        active = [self._space.decode(point) for point in points]
        before = self._rounds[-1].box if self._rounds else self._start
        return tuple(
            next_part(axis, last, [point[i] for point, names in zip(points, active, strict=True) if axis.name in names])
            for i, (axis, last) in enumerate(zip(self._space.axes, before, strict=True))
        )

    def _point(self, number: int) -> tuple[float, ...]:
        return self._results.points[number] if number < 0 else self._drawn[number].point

    def _draw(self, number: int, turn: Round) -> Draw:
        at, share = number - turn.first, self._zoom.outside
        if turn.best and math.floor((at + 1) * share) > math.floor(at * share):
            return Draw(self._outside(number, turn), f"round {turn.index + 1}, outside of the box")
        places = turn.points.random(1)[0].tolist()[: len(turn.box)]  # a sequence has one dimension at least
        point = tuple(part.place(u) for part, u in zip(turn.box, places, strict=True))
        where = f"in the box {turn.reason}" if turn.best else f"anywhere: {turn.reason}"
        return Draw(point, f"round {turn.index + 1}, {where}")

    def _outside(self, number: int, turn: Round) -> tuple[float, ...]:
        """A point of all of the space that the box does not hold, or any one where the box leaves nearly none."""
        stream = np.random.Generator(np.random.Philox(seed_of(self._seed, "outside", number)))
        for _ in range(TRIES):
            places = stream.random(len(self._start)).tolist()
            point = tuple(part.place(u) for part, u in zip(self._start, places, strict=True))
            if not all(part.holds(u) for part, u in zip(turn.box, point, strict=True)):
                break
        return point
