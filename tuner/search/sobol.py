"""Sobol search: a scrambled low-discrepancy sequence, which covers the cube more evenly than random draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import qmc

from tuner.search.space import Space
from tuner.trial import Draw


class SobolSampler:
    """Draw `number` is that point of the sequence scrambled by `seed` (Owen's scrambling); 2**30 points."""

    def __init__(self, space: Space, seed: int) -> None:
        self._dimensions = len(space.axes)
        self._sequence = qmc.Sobol(d=max(self._dimensions, 1), scramble=True, rng=seed)

    def ask(self, number: int) -> Draw:
        if number < self._sequence.num_generated:
            self._sequence.reset()
        if number > self._sequence.num_generated:
            self._sequence.fast_forward(number - self._sequence.num_generated)
        point = self._sequence.random(1)[0]
        return Draw(tuple(point[: self._dimensions].tolist()), f"Sobol point {number}")

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
