"""Hyperband: several ASHAs side by side that begin at different rungs (Li et al., JMLR 2018; Li et al., MLSys 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.search.asha import Promoting
from tuner.search.halving import Halving
from tuner.search.rungs import ladder
from tuner.trial import Promotion


class Hyperband:
    """Brackets 0, 1, ... of trials that are compared among themselves only; those of bracket b begin at rung b.

    It hedges against short trainings that mislead: bracket 0 is all of ASHA, the last one trains to the end without
    stopping anybody. A trial's bracket follows from its number alone, so any first trials are spread over the brackets
    in Hyperband's proportions: with r rungs, ceil(r / (s + 1) * reduction**s) to the one that halves s times, which
    gives each bracket about the same number of epochs.
    """

    def __init__(self, epochs: tuple[int, ...], reduction: int) -> None:
        count = len(epochs)
        self._shares = [-(-count * reduction**halvings // (halvings + 1)) for halvings in reversed(range(count))]
        self._brackets = [
            Halving(epochs, Promoting(reduction), reduction, lowest=b, name=f" of bracket {b}") for b in range(count)
        ]
        self._of: list[int] = []  # the bracket of each trial, as far as anybody asked
        self._sizes = [0] * count

    @property
    def rungs(self) -> tuple[int, ...]:
        """See `StoppingRule.rungs`."""
        return self._brackets[0].rungs

    def entry(self, trial: int) -> int:
        """See `StoppingRule.entry`. It is also the number of the trial's bracket."""
        while len(self._of) <= trial:
            drawn, whole = len(self._of) + 1, sum(self._shares)
            lacking = [drawn * share - size * whole for share, size in zip(self._shares, self._sizes, strict=True)]
            bracket = lacking.index(max(lacking))
            self._of.append(bracket)
            self._sizes[bracket] += 1
        return self._of[trial]

    def report(self, trial: int, rung: int, loss: float, curve: Sequence[float] = ()) -> None:
        """See `StoppingRule.report`."""
        self._brackets[self.entry(trial)].report(trial, rung, loss, curve)

    def promotable(self, limit: int | None = None) -> list[Promotion]:
        """See `StoppingRule.promotable`."""
        found = [promotion for bracket in self._brackets for promotion in bracket.promotable(limit)]
        return sorted(found, key=self._order)[:limit]

    def promote(self, promotion: Promotion) -> None:
        """See `StoppingRule.promote`."""
        self._brackets[self.entry(promotion.trial)].promote(promotion)

    def close(self, trials: int) -> None:
        """See `StoppingRule.close`."""
        for bracket, size in zip(self._brackets, self._split(trials), strict=True):
            bracket.close(size)

    def extend(self, max_epochs: int) -> None:
        """See `StoppingRule.extend`. There are no further brackets: each goes on to the new rungs."""
        for bracket in self._brackets:
            bracket.extend(max_epochs)

    def expected_epochs(self, trials: int) -> float:
        """See `StoppingRule.expected_epochs`."""
        return sum(b.expected_epochs(size) for b, size in zip(self._brackets, self._split(trials), strict=True))

    def verdict(self, trial: int) -> str:
        """See `StoppingRule.verdict`."""
        return self._brackets[self.entry(trial)].verdict(trial)

    def _split(self, trials: int) -> list[int]:
        """How many of the first `trials` trials each bracket has."""
        if trials:
            self.entry(trials - 1)
        first = self._of[:trials]
        return [first.count(bracket) for bracket in range(len(self._brackets))]

    def _order(self, promotion: Promotion) -> tuple[int, float, int]:
        level = self._brackets[self.entry(promotion.trial)].levels[promotion.rung]
        return -promotion.rung, level.losses[promotion.trial], promotion.trial


def hyperband(min_epochs: int, max_epochs: int, reduction: int) -> Hyperband:
    """A bracket for each rung of ASHA's ladder; see `Hyperband`."""
    return Hyperband(ladder(min_epochs, max_epochs, reduction), reduction)
