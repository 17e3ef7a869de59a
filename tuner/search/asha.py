"""ASHA by promotion: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2."""

from __future__ import annotations

from tuner.search.halving import Halving
from tuner.search.rungs import ladder


def asha(min_epochs: int, max_epochs: int, reduction: int) -> Halving:
    """Asynchronous successive halving: nobody waits for a rung to fill.

    A trial of rung k may go on as soon as it is among the best floor(n_k / reduction) of the n_k trials evaluated
    there, diverged ones included in n_k.
    """

    def cuts(search: Halving) -> list[int]:
        return [len(level.losses) // reduction for level in search.levels]

    return Halving(ladder(min_epochs, max_epochs, reduction), cuts, f"(1/{reduction})", reduction)
