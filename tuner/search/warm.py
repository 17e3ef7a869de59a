"""Warm start: configurations that are known to be good come first, then a share of the draws in boxes around them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner.search.focus import Focus
from tuner.search.samplers import Sampler
from tuner.search.space import Space
from tuner.search.starts import start_of
from tuner.trial import Draw, Value, seed_of


class WarmStart:
    """First the configurations `start`, in their order; then `focus.share` of the draws in boxes, the rest `inner`'s.

    Every beginning of the draws has its share. `inner` is asked for 0, 1, 2, ..., so its sequence has no gaps; once
    it has no more (a grid), all draws are made in boxes, or there are none if the share is 0. The boxes around the
    first start get every other draw, the others theirs in turn. A draw in a box depends on the seed and its number
    alone. `inner` is told of its own draws, and learns from the others.

    A box keeps its width at the ends of an axis: what would lie beyond one end is added at the other. On a choice,
    the start's value is kept, but with a probability of the half-width one is drawn from all of its values. An axis
    of which the start says nothing is drawn from all of it.
    """

    def __init__(
        self,
        inner: Sampler,
        space: Space,
        seed: int,
        start: Sequence[Mapping[str, Value]],
        focus: Focus,
        *,
        origins: Sequence[str] = (),
    ) -> None:
        """`origins` say where the starts come from, as far as that is known; "" where it is not."""
        self.inner = inner
        self._axes = space.axes
        self._seed = seed
        self._starts = [start_of(space, params) for params in start]
        self._reasons = [f"start {i + 1}" for i in range(len(start))]
        for i, origin in enumerate(origins):
            self._reasons[i] += f", {origin}" if origin else ""
        self.focus = focus
        self._end: float = math.inf  # how many draws `inner` has, as far as known
        self._numbers: dict[int, int] = {}  # the trials that `inner` drew, by its own numbers
        self._named: dict[str, int] = {}  # those that it learned of, by the names that it knows

    def ask(self, number: int) -> Draw | None:
        if number < len(self._starts):
            return Draw(self._starts[number].point, "; ".join((self._reasons[number], *self._starts[number].notes)))
        own = self._own(number)
        if own is None:
            return self._near(number, number - len(self._starts) - self.asked(number))
        draw = self.inner.ask(own) if own < self._end else None
        if draw is None:
            self._end = min(self._end, own)
        else:
            self._numbers[own] = number
        return self._near(number, own) if draw is None and self.focus.share > 0 else draw

    def tell(self, number: int, epochs: int, loss: float) -> None:
        """All results go to `inner`, be the draw its own or not."""
        own = self._own(number)
        if own is not None and own < self._end:
            self.inner.tell(own, epochs, loss)
        elif draw := self.ask(number):
            name = f"trial {number}"
            self._named[name] = number
            self.inner.learn(name, draw.point, epochs, loss)

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        self.inner.learn(name, point, epochs, loss)

    def is_settled(self, number: int) -> bool:
        """Only draws of `inner` may wait for results."""
        own = self._own(number)
        return own is None or own >= self._end or self.inner.is_settled(own)

    def rounds(self) -> list[dict[str, Any]]:
        """Those of `inner`, with the numbers that its trials have in the search."""
        return [
            {
                **one,
                "trials": [self._numbers[own] for own in one["trials"] if own in self._numbers],
                "best": [self._number(one_of) for one_of in one["best"]],
            }
            for one in self.inner.rounds()
        ]

    def _number(self, known: int | str) -> int | str:
        """The number in the search of a trial as `inner` knows it; a name, if it is none of this search."""
        return self._numbers[known] if isinstance(known, int) else self._named.get(known, known)

    @property
    def starts(self) -> int:
        """How many configurations come first."""
        return len(self._starts)

    def asked(self, trials: int) -> int:
        """How many of the first `trials` trials `inner` is asked for."""
        return self.focus.left(trials - len(self._starts))

    def _own(self, number: int) -> int | None:
        """The number that trial `number` has with `inner`; None for those of the start and in boxes."""
        before = self.asked(number)
        return before if self.asked(number + 1) > before else None

    def _near(self, number: int, turn: int) -> Draw:
        others = len(self._starts) - 1
        which = 1 + turn // 2 % others if others and turn % 2 else 0
        generator = np.random.Generator(np.random.Philox(seed_of(self._seed, "box", number)))
        drawn = generator.random((len(self._axes), 2)).tolist()
        point = self.focus.around(self._starts[which], self._axes, drawn)
        return Draw(point, f"draw {number} in the box around start {which + 1}")
