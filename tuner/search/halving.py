"""The ladder of rungs on which every stopping rule stands: who was reported where, and who goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from math import inf

from tuner.search.rungs import Rung, longer
from tuner.trial import Promotion


class Halving:
    """The stopping rule that lets the best of each rung go on; see `StoppingRule` for the methods it has.

    `cuts` tells how many each rung lets go on at present, `why` says it in words. Once the search is closed and idle,
    at least one trial is taken to the last rung, unless all diverge.
    """

    def __init__(
        self, epochs: tuple[int, ...], cuts: Callable[[Halving], list[int]], why: str, growth: int | None
    ) -> None:
        """Begins with rungs at `epochs`; by `growth` they grow when extended (None: one more rung, however far)."""
        self.rungs = epochs
        self.levels = [Rung(e) for e in epochs]
        self._cuts = cuts
        self._why = why
        self._growth = growth
        self._trials: int | None = None  # how many the search draws altogether, once that is known

    def report(self, trial: int, rung: int, loss: float) -> None:
        """See `StoppingRule.report`."""
        if not 0 <= rung < len(self.rungs):
            raise ValueError(
                f"there is no rung {rung}; the rungs are 0 to {len(self.rungs) - 1}, at epochs {self.rungs}"
            )
        if rung > 0 and trial not in self.levels[rung - 1].promoted:
            raise ValueError(f"trial {trial} was reported at rung {rung} but never promoted from rung {rung - 1}")
        self.levels[rung].report(trial, loss)

    def promotable(self, limit: int | None = None) -> list[Promotion]:
        """See `StoppingRule.promotable`."""
        return list(islice(self._candidates(), limit))

    def promote(self, promotion: Promotion) -> None:
        """See `StoppingRule.promote`."""
        if not 0 <= promotion.rung < len(self.rungs) - 1:
            raise ValueError(
                f"nothing is promoted from rung {promotion.rung}: the rungs are 0 to {len(self.rungs) - 1}"
            )
        self.levels[promotion.rung].promote(promotion.trial)

    def close(self, trials: int) -> None:
        """See `StoppingRule.close`."""
        self._trials = trials

    def extend(self, max_epochs: int) -> None:
        """See `StoppingRule.extend`."""
        epochs = longer(self.rungs, max_epochs, self._growth or max(max_epochs, 2))
        self.levels += [Rung(e) for e in epochs[len(self.rungs) :]]
        self.rungs = epochs
        self._trials = None

    def is_full(self, rung: int) -> bool:
        """Whether `rung` gets no more reports if nobody else is promoted to it; never while draws go on."""
        expected = self._trials if rung == 0 else len(self.levels[rung - 1].promoted)
        return len(self.levels[rung].losses) == expected

    def verdict(self, trial: int) -> str:
        """See `StoppingRule.verdict`."""
        reached = [k for k, level in enumerate(self.levels) if trial in level.losses]
        if not reached:
            return f"not yet evaluated: rung 0 is at {_epochs(self.rungs[0])}"
        k = reached[-1]
        level = self.levels[k]
        if level.losses[trial] == inf:
            return f"diverged on the way to rung {k} ({_epochs(level.epochs)}): its loss was not finite"
        rank, cut = level.rank(trial), self._cuts(self)[k]
        place = self._place(rank, k)
        if k == len(self.levels) - 1:
            return f"{place}: fully trained"
        if trial in level.promoted:
            return f"{place}: promoted to rung {k + 1} ({_epochs(self.rungs[k + 1])})"
        if cut == 0:
            return f"{place}: no trial of this rung may go on yet"
        return f"{place}: {'within' if rank <= cut else 'outside'} the best {cut} that go on"

    def _candidates(self) -> Iterator[Promotion]:
        """Who may go on: highest rung first, within a rung best first."""
        cuts, found = self._cuts(self), False
        for k in reversed(range(len(self.levels) - 1)):
            for trial, rank in self.levels[k].within(cuts[k]):
                found = True
                yield Promotion(trial, k, f"{self._place(rank, k)}: within the best {cuts[k]} {self._why}")
        if not found and (last_resort := self._last_resort()):
            yield last_resort

    def _last_resort(self) -> Promotion | None:
        """The promotion that keeps a search from ending with nobody trained to the last epoch.

        A rung of fewer trials than the reduction promotes nobody, and all that went on may diverge. So once the
        search is idle without a finite loss at the last rung, the best trial that waits at the highest rung goes on.
        """
        idle = all(self.is_full(k) for k in range(len(self.levels)))
        if not idle or any(loss < inf for loss in self.levels[-1].losses.values()):
            return None
        for k in reversed(range(len(self.levels) - 1)):
            for trial in self.levels[k].waiting():
                place = self._place(self.levels[k].rank(trial), k)
                last = _epochs(self.rungs[-1])
                return Promotion(trial, k, f"{place}: best of those left, as no trial has reached {last} undiverged")
        return None

    def _place(self, rank: int, k: int) -> str:
        return f"rank {rank} of {len(self.levels[k].losses)} at rung {k} ({_epochs(self.rungs[k])})"


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"
