"""The rungs at which trials are compared: their epochs, and who was reported at one and went on from it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

from tuner.search.ranking import Ranking


def ladder(min_epochs: int, max_epochs: int, reduction: int) -> tuple[int, ...]:
    """The rungs' epochs, min_epochs * reduction**k, the last one being max_epochs exactly."""
    if not 1 <= min_epochs <= max_epochs:
        raise ValueError(
            f"min_epochs must be at least 1 and at most max_epochs, but min_epochs={min_epochs} and "
            f"max_epochs={max_epochs}; raise max_epochs or lower min_epochs"
        )
    if reduction < 2:
        raise ValueError(
            f"reduction must be an integer of at least 2, but is {reduction}; the usual values are 3 and 4"
        )
    epochs = []
    while min_epochs < max_epochs:
        epochs.append(min_epochs)
        min_epochs *= reduction
    return (*epochs, max_epochs)


def longer(epochs: tuple[int, ...], max_epochs: int, reduction: int) -> tuple[int, ...]:
    """The rungs `epochs` and, above their last, those that lead from there to `max_epochs`."""
    if max_epochs < epochs[-1]:
        raise ValueError(f"max_epochs can only grow: trials were trained to {epochs[-1]} epochs, not {max_epochs}")
    return (*epochs[:-1], *ladder(epochs[-1], max_epochs, reduction))


class Rung:
    """The trials evaluated at `epochs`. Diverged ones count in its size and rank last, without a place."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.losses: dict[int, float] = {}  # every reported trial; inf = diverged
        self.promoted: set[int] = set()
        self._ranking = Ranking()
        self._waiting = Ranking()  # the finite and not yet promoted ones

    def report(self, trial: int, loss: float) -> None:
        """Enters `trial`; a loss that is not finite counts as diverged."""
        if trial in self.losses:
            raise ValueError(f"trial {trial} was already reported at {self.epochs} epochs; report it once a rung")
        self.losses[trial] = loss if isfinite(loss) else inf
        if isfinite(loss):
            self._ranking.add((loss, trial))
            self._waiting.add((loss, trial))

    def promote(self, trial: int) -> None:
        """Marks `trial` as gone on; it must stand here with a finite loss and not have gone on before."""
        try:
            self._waiting.remove((self.losses.get(trial, inf), trial))
        except KeyError:
            raise ValueError(
                f"trial {trial} cannot be promoted from the rung of {self.epochs} epochs: only a trial that was "
                "reported there with a finite loss, and was not promoted before, can"
            ) from None
        self.promoted.add(trial)

    def rank(self, trial: int) -> int:
        """1-based, 1 is best, for a trial with a finite loss."""
        return self._ranking.rank((self.losses[trial], trial)) + 1

    def waiting(self) -> Iterator[int]:
        """The trials that may still go on, best first."""
        return (trial for _, trial in self._waiting)

    def within(self, cut: int) -> Iterator[tuple[int, int]]:
        """(trial, rank) of those that may still go on and rank within the best `cut`, best first."""
        for trial in self.waiting():
            rank = self.rank(trial)
            if rank > cut:
                return
            yield trial, rank
