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

    `size(trials)` is how many trials such a sweep has, for a grid has an end, and how many points its grid has per axis
    (None: it is none). `ledger(trials, points)` is an empty ledger of `trials` trials, the first ones of such a grid.
    Sweeps of up to `whole` trials are rehearsed whole. `kept` is how many trials a rule lets go on, whatever the number
    of trials (None: it is a share of them).
    """

    size: Callable[[int], tuple[int, int | None]]
    ledger: Callable[[int, int | None], Ledger]
    whole: int
    kept: int | None = None


class Rehearsals:
    """Rehearses `sweeps`, each with several made-up outcomes; `run(ledger, chance)` is one rehearsal."""

    def __init__(self, sweeps: Sweeps, run: Callable[[Ledger, int], Rehearsal], workers: int) -> None:
        self._sweeps, self._run, self._workers = sweeps, run, workers
        self._found: dict[tuple[int, int | None, int], Rehearsal] = {}

    def of(self, trials: int) -> list[Rehearsal]:
        """What would happen in a sweep that is asked for `trials`: an odd number, so that one is in the middle."""
        drawn, points = self._sweeps.size(trials)
        if drawn <= self._sweeps.whole:
            return [self._whole(drawn, points, chance) for chance in range(self._chances(drawn))]
        few, many = (self._whole(first, points, 0) for first in self._two(drawn))
        return [along(few, many, drawn, self._workers)]

    def _two(self, drawn: int) -> tuple[int, int]:
        """The sizes on whose line `drawn` lies: where a number of trials is kept, the line bends there."""
        few, many, kept = self._sweeps.whole // 4, self._sweeps.whole, self._sweeps.kept or 0
        return (kept, max(2 * kept, many)) if few < kept < drawn else (few, many)

    def _whole(self, trials: int, points: int | None, chance: int) -> Rehearsal:
        key = trials, points, chance
        if key not in self._found:
            self._found[key] = self._run(self._sweeps.ledger(trials, points), chance)
        return self._found[key]

    def _chances(self, trials: int) -> int:
        whole = self._sweeps.whole
        return CHANCES if trials <= whole // 25 else 3 if trials <= whole // 5 else 1


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
        told=True,
    )
