"""Synchronous successive halving: Jamieson and Talwalkar, AISTATS 2016, and no halving at all."""

from __future__ import annotations

from tuner.search.halving import Halving
from tuner.search.rungs import ladder


def successive_halving(min_epochs: int, max_epochs: int, reduction: int) -> Halving:
    """A rung's best floor(n / reduction), but at least one, go on once the rung is full.

    Rung 0 is full when all trials of the closed search were reported, a later rung when all that were promoted to
    it were. So the promotions, and with them the winner, do not depend on the order in which results arrive.
    """

    def cuts(search: Halving) -> list[int]:
        found = [0] * len(search.levels)
        for k, level in enumerate(search.levels):
            if not search.is_full(k):
                break
            found[k] = max(1, len(level.losses) // reduction)
            if next(level.within(found[k]), None):  # some are still to be promoted, so the next rung is not full
                break
        return found

    why = f"(1/{reduction}) of a full rung"
    return Halving(ladder(min_epochs, max_epochs, reduction), cuts, why, reduction)


def no_stopping(max_epochs: int) -> Halving:
    """One rung: every trial is trained to `max_epochs`. Once that is extended, every trial goes on to the next rung."""

    def cuts(search: Halving) -> list[int]:
        return [len(level.losses) for level in search.levels]

    return Halving(ladder(max_epochs, max_epochs, 2), cuts, "(all of them)", growth=None)
