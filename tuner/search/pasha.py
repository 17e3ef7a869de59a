"""PASHA: ASHA whose rungs grow only while longer training changes the ranking (Bohdal et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from tuner.search.halving import Halving
from tuner.search.rungs import ladder

NOISE_PERCENTILE = 90  # the paper's
JUDGED = 512  # trials at the top rung; a ranking that so many have not changed is taken as stable


class Growing:
    """ASHA's cuts below the top rung; the top moves up by one when the ranking there is not that of the rung below.

    At the beginning the top is the second rung. Losses that differ by no more than `epsilon` count as equal: the 90th
    percentile of the differences between trials whose curves cross and cross back, which is what noise makes. Once all
    is done below, the best at the top goes on to the last rung alone, because the search shall end with one trained
    model.
    """

    def __init__(self, reduction: int) -> None:
        self.top = 1
        self.epsilon = 0.0
        self._reduction = reduction
        self._grown: dict[int, str] = {}  # why trials may go on from a rung that was the top
        self._curves: list[Sequence[float]] = []  # of the trials at the top
        self._gaps: list[float] = []  # between those of them that crossed back and forth, at the end

    def now(self, search: Halving) -> list[int]:
        """See `Cuts.now`."""
        sizes = [len(level.losses) for level in search.levels]
        cuts = [size // self._reduction for size in sizes[: min(self.top, len(sizes) - 1)]]
        return [*cuts, int(_is_done(search, cuts)), *sizes[len(cuts) + 1 :]]

    def keeps(self, rung: int, trials: float) -> float:
        """See `Cuts.keeps`; as if the top stayed where it is."""
        return trials / self._reduction if rung < self.top else min(trials, 1.0)

    def why(self, rung: int) -> str:
        """See `Cuts.why`."""
        if rung < self.top:
            grown = self._grown.get(rung)
            return f"(1/{self._reduction})" + (f"; {grown}" if grown else "")
        return "to the end, as longer training does not change the ranking any more"

    def hear(self, search: Halving, rung: int, trial: int, curve: Sequence[float]) -> None:
        """Takes in a report: the top grows if it changed the ranking there."""
        if rung != self.top or rung == len(search.levels) - 1:
            return
        top, below = search.levels[rung], search.levels[rung - 1]
        if len(top.losses) > JUDGED or not isfinite(top.losses[trial]):
            return
        self._learn(curve, top.epochs)
        moved = _moved(below.losses, top.losses, self.epsilon)
        if moved is not None:
            self._grown[rung] = (
                f"there are further rungs since trial {moved} changed its place between {below.epochs} and "
                f"{top.epochs} epochs by more than noise ({self.epsilon:.3g})"
            )
            self.top += 1
            self._curves, self._gaps = [], []

    def _learn(self, curve: Sequence[float], epochs: int) -> None:
        """Enters a curve of `epochs` losses and sets `epsilon`, which stays as it is while no curves cross twice."""
        if len(curve) != epochs:
            return
        if self._curves:
            self._gaps += _crossing_gaps(np.asarray(curve, float), np.asarray(self._curves, float))
        self._curves.append(curve)
        if self._gaps:
            self.epsilon = float(np.percentile(self._gaps, NOISE_PERCENTILE))


def pasha(min_epochs: int, max_epochs: int, reduction: int) -> Halving:
    """ASHA's ladder, of which only the first two rungs are used as long as their rankings agree; see `Growing`."""
    cuts = Growing(reduction)
    return Halving(ladder(min_epochs, max_epochs, reduction), cuts, reduction, heard=cuts.hear)


def _is_done(search: Halving, cuts: Sequence[int]) -> bool:
    """Whether nothing is trained up to the rung above those of `cuts`, or could still go on to it."""
    if not all(search.is_full(k) for k in range(len(cuts) + 1)):
        return False
    return not any(next(level.within(cut), None) for level, cut in zip(search.levels, cuts, strict=False))


def _moved(below: dict[int, float], top: dict[int, float], epsilon: float) -> int | None:
    """The first trial of the ranking at the top whose loss below is not that of its place there, give or take epsilon.

    None: the ranking is stable. Only trials with finite losses at the top have places.
    """
    ranking = sorted((trial for trial, loss in top.items() if isfinite(loss)), key=lambda trial: (top[trial], trial))
    before = sorted(below[trial] for trial in ranking)
    return next((t for t, loss in zip(ranking, before, strict=True) if abs(below[t] - loss) > epsilon), None)


def _crossing_gaps(curve: NDArray[np.float64], others: NDArray[np.float64]) -> list[float]:
    """Last differences [m] of `curve` [epochs] to those of `others` [n, epochs] that it crosses there and back."""
    differences = others - curve
    last = np.sign(differences[:, -1:])
    order = np.sign(differences) * last  # 1 where the order is the last one, -1 where it is the opposite
    before = np.logical_or.accumulate(order > 0, axis=1)
    crossed = (before & (order < 0)).any(axis=1)
    return [float(gap) for gap in np.abs(differences[crossed, -1])]
