"""Synchronous successive halving: Jamieson and Talwalkar, AISTATS 2016, and no halving at all."""

from __future__ import annotations

from itertools import islice

from tuner.search.rungs import Rungs, ladder, longer
from tuner.trial import Promotion


class SuccessiveHalving:
    """A rung's best floor(n / reduction), but at least one, go on once the rung is full.

    Rung 0 is full when all trials of the closed search were reported, a later rung when all that were promoted to
    it were. So the promotions, and with them the winner, do not depend on the order in which results arrive.
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
        return list(islice(self._ladder.candidates(self._cuts(), f"(1/{self._reduction}) of a full rung"), limit))

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
        cuts = [0] * len(self.rungs)
        for k, rung in enumerate(self._ladder.rungs):
            if self._ladder.expected(k) != len(rung.losses):
                break
            cuts[k] = max(1, len(rung.losses) // self._reduction)
            if next(rung.within(cuts[k]), None):  # some are still to be promoted, so the next rung is not full
                break
        return cuts


class NoStopping:
    """One rung: every trial is trained to `max_epochs`. Once that is extended, every trial goes on to the next rung."""

    def __init__(self, max_epochs: int) -> None:
        self.rungs = ladder(max_epochs, max_epochs, 2)
        self._ladder = Rungs(self.rungs)

    def report(self, trial: int, rung: int, loss: float) -> None:
        """See `StoppingRule.report`."""
        self._ladder.report(trial, rung, loss)

    def promotable(self, limit: int | None = None) -> list[Promotion]:
        """See `StoppingRule.promotable`."""
        return list(islice(self._ladder.candidates(self._cuts(), "(all of them)"), limit))

    def promote(self, promotion: Promotion) -> None:
        """See `StoppingRule.promote`."""
        self._ladder.promote(promotion)

    def close(self, trials: int) -> None:
        """See `StoppingRule.close`."""
        self._ladder.trials = trials

    def extend(self, max_epochs: int) -> None:
        """See `StoppingRule.extend`."""
        self.rungs = longer(self.rungs, max_epochs, max(max_epochs, 2))  # one more rung, not a ladder of them
        self._ladder.extend(self.rungs)

    def verdict(self, trial: int) -> str:
        """See `StoppingRule.verdict`."""
        return self._ladder.verdict(trial, self._cuts())

    def _cuts(self) -> list[int]:
        return [len(rung.losses) for rung in self._ladder.rungs]
