"""Random search: every trial an independent uniform point of the unit cube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tuner.search.space import Space
from tuner.trial import Draw


class RandomSampler:
    """Draw `number` depends on the seed and `number` alone, not on what was drawn before. Never exhausted."""

    def __init__(self, space: Space, seed: int) -> None:
        self._seed = seed
        self._dimensions = len(space.axes)

    def ask(self, number: int) -> Draw:
        stream = np.random.SeedSequence(self._seed, spawn_key=(number,))
        point = np.random.Generator(np.random.Philox(stream)).random(self._dimensions)
        return Draw(tuple(point.tolist()), f"random draw {number}")

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
