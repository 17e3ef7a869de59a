"""The ladder of rungs on which every stopping rule stands: who was reported where, and who goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import inf
from typing import Protocol

from tuner.search.rungs import Rung, longer
from tuner.trial import Promotion


class Cuts(Protocol):
    """How many of each rung go on: what tells one stopping rule from another."""

    def now(self, search: Halving) -> list[int]:
        """For each rung of `search`, how many of its best may go on at present; changes nothing."""

    def keeps(self, rung: int, trials: float, /) -> float:
        """About how many of `trials` trials at `rung` go on in the end."""

    def why(self, rung: int, /) -> str:
        """Why those of `rung` that go on do; follows "within the best 3"."""


class Halving:
    """The stopping rule that lets the best of each rung go on; see `StoppingRule` for the methods it has.

    Once the search is closed and idle, at least one trial is taken to the last rung, unless all diverge.
    """

    def __init__(
        self,
        epochs: tuple[int, ...],
        cuts: Cuts,
        growth: int | None,
        *,
        lowest: int = 0,
        name: str = "",
        heard: Callable[[Halving, int, int, Sequence[float]], None] | None = None,
    ) -> None:
        """Begins with rungs at `epochs`; by `growth` they grow when extended (None: one more rung, however far).

        Trials begin at the rung `lowest`; those below stay empty. `name` tells this ladder from others, in words.
        `heard` is told of each report, after it was entered: the ladder, rung, trial and its curve.
        """
        self.rungs = epochs
        self.levels = [Rung(e) for e in epochs]
        self._cuts = cuts
        self._growth = growth
        self._lowest = lowest
        self._name = name
        self._heard = heard
        self._trials: int | None = None  # how many the search draws altogether, once that is known

    def entry(self, _trial: int) -> int:
        """See `StoppingRule.entry`."""
        return self._lowest

    def report(self, trial: int, rung: int, loss: float, curve: Sequence[float] = ()) -> None:
        """See `StoppingRule.report`."""
        if not self._lowest <= rung < len(self.rungs):
            raise ValueError(
                f"there is no rung {rung}; the rungs are {self._lowest} to {len(self.rungs) - 1}, "
                f"at epochs {self.rungs[self._lowest :]}"
            )
        if rung > self._lowest and trial not in self.levels[rung - 1].promoted:
            raise ValueError(f"trial {trial} was reported at rung {rung} but never promoted from rung {rung - 1}")
        self.levels[rung].report(trial, loss)
        if self._heard:
            self._heard(self, rung, trial, curve)

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
        if rung < self._lowest:
            return True
        expected = self._trials if rung == self._lowest else len(self.levels[rung - 1].promoted)
        return len(self.levels[rung].losses) == expected

    def expected_epochs(self, trials: int) -> float:
        """See `StoppingRule.expected_epochs`."""
        reached, before, spent = float(trials), 0, 0.0
        for rung, epochs in enumerate(self.rungs[self._lowest :], self._lowest):
            spent += reached * (epochs - before)
            reached, before = self._cuts.keeps(rung, reached), epochs
        return spent

    def verdict(self, trial: int) -> str:
        """See `StoppingRule.verdict`."""
        reached = [k for k, level in enumerate(self.levels) if trial in level.losses]
        if not reached:
            return f"not yet evaluated: rung {self._lowest} is at {_epochs(self.rungs[self._lowest])}"
        k = reached[-1]
        level = self.levels[k]
        if level.losses[trial] == inf:
            return f"diverged on the way to rung {k} ({_epochs(level.epochs)}): its loss was not finite"
        rank, cut = level.rank(trial), self._cuts.now(self)[k]
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
        cuts, found = self._cuts.now(self), False
        for k in reversed(range(len(self.levels) - 1)):
            for trial, rank in self.levels[k].within(cuts[k]):
                found = True
                yield Promotion(trial, k, f"{self._place(rank, k)}: within the best {cuts[k]} {self._cuts.why(k)}")
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
        return f"rank {rank} of {len(self.levels[k].losses)} at rung {k} ({_epochs(self.rungs[k])}){self._name}"


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"
