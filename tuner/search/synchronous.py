"""Rules that wait for whole rungs: synchronous successive halving, the best after a first look, no halving at all."""

from __future__ import annotations

from tuner.search.halving import Halving
from tuner.search.rungs import ladder


class FullRungs:
    """The best floor(n / reduction), but at least one, of the lowest rung that is full and has some to promote."""

    def __init__(self, reduction: int) -> None:
        self._reduction = reduction

    def now(self, search: Halving) -> list[int]:
        """See `Cuts.now`."""
        found = [0] * len(search.levels)
        for k, level in enumerate(search.levels):
            if not search.is_full(k):
                break
            found[k] = max(1, len(level.losses) // self._reduction)
            if next(level.within(found[k]), None):  # some are still to be promoted, so the next rung is not full
                break
        return found

    def keeps(self, _rung: int, trials: float) -> float:
        """See `Cuts.keeps`."""
        return max(1.0, trials / self._reduction)

    def why(self, _rung: int) -> str:
        """See `Cuts.why`."""
        return f"(1/{self._reduction}) of a full rung"


class Best:
    """The best `keep` of the first rung once it is full; from then on, all."""

    def __init__(self, keep: int) -> None:
        self._keep = keep

    def now(self, search: Halving) -> list[int]:
        """See `Cuts.now`."""
        first = self._keep if search.is_full(0) else 0
        return [first, *(len(level.losses) for level in search.levels[1:])]

    def keeps(self, _rung: int, trials: float) -> float:
        """See `Cuts.keeps`."""
        return min(trials, self._keep)

    def why(self, rung: int) -> str:
        """See `Cuts.why`."""
        return "of all trials" if rung == 0 else "(all of them)"


class Everybody:
    """All."""

    def now(self, search: Halving) -> list[int]:
        """See `Cuts.now`."""
        return [len(level.losses) for level in search.levels]

    def keeps(self, _rung: int, trials: float) -> float:
        """See `Cuts.keeps`."""
        return trials

    def why(self, _rung: int) -> str:
        """See `Cuts.why`."""
        return "(all of them)"


def successive_halving(min_epochs: int, max_epochs: int, reduction: int) -> Halving:
    """A rung's best floor(n / reduction), but at least one, go on once it is full: Jamieson and Talwalkar, 2016.

    Rung 0 is full when all trials of the closed search were reported, a later rung when all that were promoted to
    it were. So the promotions, and with them the winner, do not depend on the order in which results arrive.
    """
    return Halving(ladder(min_epochs, max_epochs, reduction), FullRungs(reduction), reduction)


def top_k_after(epochs: int, max_epochs: int, keep: int) -> Halving:
    """All trials are trained for `epochs`; when all were, the best `keep` go on to `max_epochs`.

    Where that is extended, those go on to the next rung. More trials are compared with the first ones, and those among
    the best `keep` of all that have not gone on yet do.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, but is {keep}; it says how many trials are trained to the end")
    if epochs >= max_epochs:
        raise ValueError(
            f"top_k_after must be below max_epochs, but is {epochs} and max_epochs is {max_epochs}: raise "
            "max_epochs, or train all trials to the end by the rule none"
        )
    first = ladder(epochs, epochs, 2)  # checks that it is an epoch at least
    return Halving((*first, max_epochs), Best(keep), growth=None)


def no_stopping(max_epochs: int) -> Halving:
    """One rung: every trial is trained to `max_epochs`. Once that is extended, every trial goes on to the next rung."""
    return Halving(ladder(max_epochs, max_epochs, 2), Everybody(), growth=None)
