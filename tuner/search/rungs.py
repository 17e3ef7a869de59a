"""The ladder of rungs on which every stopping rule stands: who was reported where, and who went on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isfinite

from tuner.search.ranking import Ranking
from tuner.trial import Promotion


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


class Rungs:
    """All rungs of a search, and how many trials are still on their way to each."""

    def __init__(self, epochs: tuple[int, ...]) -> None:
        self.epochs = epochs
        self.rungs = [Rung(e) for e in epochs]
        self.trials: int | None = None  # how many the search draws altogether, once that is known

    def extend(self, epochs: tuple[int, ...]) -> None:
        """Takes up draws again, and adds the rungs of `epochs` that there are not yet."""
        self.trials = None
        self.rungs += [Rung(e) for e in epochs[len(self.epochs) :]]
        self.epochs = epochs

    def report(self, trial: int, rung: int, loss: float) -> None:
        """Enters the loss of `trial` at `rung`, to which it must have been promoted."""
        if not 0 <= rung < len(self.rungs):
            raise ValueError(
                f"there is no rung {rung}; the rungs are 0 to {len(self.rungs) - 1}, at epochs {self.epochs}"
            )
        if rung > 0 and trial not in self.rungs[rung - 1].promoted:
            raise ValueError(f"trial {trial} was reported at rung {rung} but never promoted from rung {rung - 1}")
        self.rungs[rung].report(trial, loss)

    def promote(self, promotion: Promotion) -> None:
        """Lets a trial go on from its rung; the last rung has no next one."""
        if not 0 <= promotion.rung < len(self.rungs) - 1:
            raise ValueError(
                f"nothing is promoted from rung {promotion.rung}: the rungs are 0 to {len(self.rungs) - 1}"
            )
        self.rungs[promotion.rung].promote(promotion.trial)

    def expected(self, rung: int) -> int | None:
        """How many reports `rung` gets if nobody else is promoted to it; None while draws go on."""
        return self.trials if rung == 0 else len(self.rungs[rung - 1].promoted)

    def idle(self) -> bool:
        """Whether nothing is on its way: no draw is left and every promoted trial was reported."""
        return all(self.expected(k) == len(rung.losses) for k, rung in enumerate(self.rungs))

    def candidates(self, cuts: Sequence[int], why: str) -> Iterator[Promotion]:
        """Who goes on if rung k lets its best `cuts[k]` go on: highest rung first, within a rung best first."""
        found = False
        for k in reversed(range(len(self.rungs) - 1)):
            rung = self.rungs[k]
            for trial, rank in rung.within(cuts[k]):
                found = True
                yield Promotion(trial, k, f"{self._place(rank, k)}: within the best {cuts[k]} {why}")
        if not found and (last_resort := self._last_resort()):
            yield last_resort

    def _last_resort(self) -> Promotion | None:
        """The promotion that keeps a search from ending with nobody trained to the last epoch.

        A rung of fewer trials than the reduction promotes nobody, and all that went on may diverge. So once the
        search is idle without a finite loss at the last rung, the best trial that waits at the highest rung goes on.
        """
        if not self.idle() or any(loss < inf for loss in self.rungs[-1].losses.values()):
            return None
        for k in reversed(range(len(self.rungs) - 1)):
            for trial in self.rungs[k].waiting():
                place = self._place(self.rungs[k].rank(trial), k)
                last = _epochs(self.epochs[-1])
                return Promotion(trial, k, f"{place}: best of those left, as no trial has reached {last} undiverged")
        return None

    def verdict(self, trial: int, cuts: Sequence[int]) -> str:
        """Why `trial` stands where it stands, given how many each rung lets go on at present."""
        reached = [k for k, rung in enumerate(self.rungs) if trial in rung.losses]
        if not reached:
            return f"not yet evaluated: rung 0 is at {_epochs(self.epochs[0])}"
        k = reached[-1]
        rung = self.rungs[k]
        if rung.losses[trial] == inf:
            return f"diverged on the way to rung {k} ({_epochs(rung.epochs)}): its loss was not finite"
        rank = rung.rank(trial)
        place = self._place(rank, k)
        if k == len(self.rungs) - 1:
            return f"{place}: fully trained"
        if trial in rung.promoted:
            return f"{place}: promoted to rung {k + 1} ({_epochs(self.epochs[k + 1])})"
        if cuts[k] == 0:
            return f"{place}: no trial of this rung may go on yet"
        return f"{place}: {'within' if rank <= cuts[k] else 'outside'} the best {cuts[k]} that go on"

    def _place(self, rank: int, k: int) -> str:
        return f"rank {rank} of {len(self.rungs[k].losses)} at rung {k} ({_epochs(self.epochs[k])})"


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count != 1 else ''}"
