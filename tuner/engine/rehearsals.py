"""Rehearsals of sweeps of any size: whole, or, of a very large one, told from two smaller ones. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from tuner.engine.ledger import Ledger
from tuner.engine.rehearsal import Rehearsal

CHANCES = 5  # rehearsals with different losses, fewer of many trials: those differ less
COUNTED = ("search_epochs", "packs", "handed", "sent", "stored")  # what grows evenly with the number of trials


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The sweeps of one spec, by how many trials they are asked for.

    `drawn` says how many trials such a sweep has: a grid has an end. `ledger(first, trials)` is the empty ledger of the
    first `first` trials of a sweep that is asked for `trials`. Sweeps of up to `whole` trials are rehearsed whole.
    `kept` is how many trials a rule lets go on, whatever the number of trials (None: it is a share of them).
    """

    drawn: Callable[[int], int]
    ledger: Callable[[int, int], Ledger]
    whole: int
    kept: int | None = None


class Rehearsals:
    """Rehearses `sweeps`, each with several made-up outcomes; `run(ledger, chance)` is one rehearsal."""

    def __init__(self, sweeps: Sweeps, run: Callable[[Ledger, int], Rehearsal], workers: int) -> None:
        self._sweeps, self._run, self._workers = sweeps, run, workers
        self._found: dict[tuple[int, int], list[Rehearsal]] = {}

    def of(self, trials: int) -> list[Rehearsal]:
        """What would happen in a sweep that is asked for `trials`: an odd number, so that one is in the middle."""
        drawn = self._sweeps.drawn(trials)
        if drawn <= self._sweeps.whole:
            return self._whole(drawn, trials)
        low, high = (self._whole(first, trials) for first in self._two(drawn))
        return [along(few, many, drawn, self._workers) for few, many in zip(low, high, strict=False)]

    def _two(self, drawn: int) -> tuple[int, int]:
        """The sizes on whose line `drawn` lies: where a number of trials is kept, the line bends there."""
        few, many, kept = self._sweeps.whole // 4, self._sweeps.whole, self._sweeps.kept or 0
        return (kept, max(2 * kept, many)) if few < kept < drawn else (few, many)

    def _whole(self, first: int, trials: int) -> list[Rehearsal]:
        if (first, trials) not in self._found:
            chances = range(self._chances(first))
            self._found[first, trials] = [self._run(self._sweeps.ledger(first, trials), chance) for chance in chances]
        return self._found[first, trials]

    def _chances(self, trials: int) -> int:
        whole = self._sweeps.whole
        return CHANCES if trials <= whole // 10 else 3 if trials <= whole // 2 else 1


def along(few: Rehearsal, many: Rehearsal, trials: int, workers: int) -> Rehearsal:
    """What a sweep of `trials` trials would do, on the line through two others; what follows the search stays as it is.

    The line need not go through nothing at all: every sweep has a start, an end, and perhaps trials that go on whatever
    its size. Beyond `many` nothing becomes less. Work is told so, not time: `workers` wait for each other about as long
    in a large sweep as in a small one, and by chance.
    """
    share = (trials - many.searched) / (many.searched - few.searched)

    def at(low: float, high: float) -> float:
        return max(high + (high - low) * share, high if share > 0 else 0.0)

    counts = {name: round(at(getattr(few, name), getattr(many, name))) for name in COUNTED}
    busy = at(few.busy, many.busy)
    search = many.search + (busy - many.busy) / workers
    return replace(
        many,
        **counts,
        reached=Counter({rung: round(at(few.reached[rung], number)) for rung, number in many.reached.items()}),
        searched=trials,
        trials=trials + many.trials - many.searched,
        epochs=counts["search_epochs"] + many.epochs - many.search_epochs,
        search=search,
        whole=search + many.whole - many.search,
        busy=busy,
        largest=max(few.largest, many.largest),
    )
