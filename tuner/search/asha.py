"""ASHA by promotion: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2."""

from __future__ import annotations

from tuner.search.halving import Halving
from tuner.search.rungs import ladder


class Promoting:
    """The best floor(n / reduction) of the n trials that a rung has at present."""

    def __init__(self, reduction: int) -> None:
        self._reduction = reduction

    def now(self, search: Halving) -> list[int]:
        """See `Cuts.now`."""
        return [len(level.losses) // self._reduction for level in search.levels]

    def keeps(self, _rung: int, trials: float) -> float:
        """See `Cuts.keeps`."""
        return trials / self._reduction

    def why(self, _rung: int) -> str:
        """See `Cuts.why`."""
        return f"(1/{self._reduction})"


def asha(min_epochs: int, max_epochs: int, reduction: int) -> Halving:
    """Asynchronous successive halving: nobody waits for a rung to fill.

    A trial of rung k may go on as soon as it is among the best floor(n_k / reduction) of the n_k trials evaluated
    there, diverged ones included in n_k.
    """
    return Halving(ladder(min_epochs, max_epochs, reduction), Promoting(reduction), reduction)
