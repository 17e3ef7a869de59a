"""ASHA by promotion: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2."""

from __future__ import annotations

from itertools import islice

from tuner.search.rungs import Rungs, ladder, longer
from tuner.trial import Promotion


class Asha:
    """Asynchronous successive halving: nobody waits for a rung to fill.

    A trial of rung k may go on as soon as it is among the best floor(n_k / reduction) of the n_k trials evaluated
    there, diverged ones included in n_k. When the search is closed and nothing is under way, at least one trial is
    taken to the last rung, unless all diverge.
    """

    def __init__(self, min_epochs: int, max_epochs: int, reduction: int) -> None:
        self.rungs = ladder(min_epochs, max_epochs, reduction)
        self._reduction = reduction
        self._ladder = Rungs(self.rungs)

    def report(self, trial: int, rung: int, loss: float) -> None:
        """See `StoppingRule.report`."""
        self._ladder.report(trial, rung, loss)

    def promotable(self, limit: int | None = None) -> list[Promotion]:
        """See `StoppingRule.promotable`."""
        return list(islice(self._ladder.candidates(self._cuts(), f"(1/{self._reduction})"), limit))

    def promote(self, promotion: Promotion) -> None:
        """See `StoppingRule.promote`."""
        self._ladder.promote(promotion)

    def close(self, trials: int) -> None:
        """See `StoppingRule.close`."""
        self._ladder.trials = trials

    def extend(self, max_epochs: int) -> None:
        """See `StoppingRule.extend`."""
        self.rungs = longer(self.rungs, max_epochs, self._reduction)
        self._ladder.extend(self.rungs)

    def verdict(self, trial: int) -> str:
        """See `StoppingRule.verdict`."""
        return self._ladder.verdict(trial, self._cuts())

    def _cuts(self) -> list[int]:
        return [len(rung.losses) // self._reduction for rung in self._ladder.rungs]
