"""What a sampler that learns has been told: every trial's loss at every rung it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite


class Results:
    """Losses by trial and by epochs. Only losses after equally many epochs are compared with each other.

    The sampler's own trials are numbered from 0 on; what it learned of from elsewhere has negative numbers.
    """

    def __init__(self) -> None:
        self.losses: dict[int, dict[int, float]] = {}
        """Trial to epochs to loss, finite ones only; a trial that has come nowhere yet is not in it."""
        self.diverged: set[int] = set()
        """The trials that diverged or failed, after whatever number of epochs: none of them is a good one."""
        self.names: dict[int, str] = {}
        """The names of trials from elsewhere, by their numbers."""
        self.points: dict[int, tuple[float, ...]] = {}
        """And where they are."""
        self._numbers: dict[str, int] = {}

    def learn(self, name: str, point: Sequence[float], epochs: int, loss: float) -> None:
        """Enters the loss of the trial `name` from elsewhere, at `point`, as `tell` does."""
        number = self._numbers.setdefault(name, -1 - len(self._numbers))
        self.names[number] = name
        self.points[number] = tuple(point)
        self.tell(number, epochs, loss)

    def tell(self, trial: int, epochs: int, loss: float) -> None:
        """Enters the loss of `trial` after `epochs` epochs; one that is not finite means diverged."""
        told = self.losses.setdefault(trial, {})
        if isfinite(loss):
            told[epochs] = loss
        else:
            self.diverged.add(trial)

    def best(self, count: int) -> tuple[int, list[int]]:
        """The highest rung, in epochs, to which `count` undiverged trials have come, and the best `count` there.

        Best first, ties by number. Where no rung has so many, all of the rung that has most, the lower one of equals;
        (0, []) before there is any.
        """
        rungs: dict[int, list[tuple[float, int]]] = {}
        for trial, told in self.losses.items():
            if trial not in self.diverged:
                for epochs, loss in told.items():
                    rungs.setdefault(epochs, []).append((loss, trial))
        if not rungs:
            return 0, []
        full = [epochs for epochs, reached in rungs.items() if len(reached) >= count]
        chosen = max(full) if full else max(sorted(rungs), key=lambda epochs: len(rungs[epochs]))
        return chosen, [trial for _, trial in sorted(rungs[chosen])[:count]]

    def curve(self, trial: int) -> Mapping[int, float]:
        """The losses of an undiverged trial by epochs; empty for one that diverged or has none."""
        return {} if trial in self.diverged else self.losses.get(trial, {})
