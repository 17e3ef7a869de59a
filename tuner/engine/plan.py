"""What a sweep would take, from what was timed: time with a range, space, requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tuner.engine.ledger import Ledger
from tuner.engine.pace import Pace, Sizes, model_bytes, state_bytes
from tuner.engine.rehearsal import Rehearsal, rehearse
from tuner.trial import Value

REHEARSED = 2000  # trials; what more of them take is told from these
CHANCES = 5  # rehearsals with different losses, fewer of many trials: those differ less
TOLERANCE = 0.15  # of what is not training: starts and ends differ by so much from run to run

ROW_BYTES = 250  # of an epoch of a trial: in the journal, and in the result that its worker left
REPORT_BYTES = 5 * 2**20  # nearly all of it is the library that draws, whatever the sweep
HANDED_BYTES = 1300  # of a trial in a pack: its hyperparameters, what is known of it before and after

AROUND_REQUESTS = 25  # of the sweep's own run: spec, data, leaderboard, summary, the winner as a model
BORN_AND_ENDED = 2  # requests of every trial beside those with its news


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a sweep takes beside training.

    Seconds: until its first pack, of each pack, of each trial, after its last pack, and of a request to MLflow (0: it
    is embedded); those that are not answered by then are waited for, for `patience` seconds.

    Bytes: memory of a worker that has just begun, and of all other processes of this machine (None: workers are
    elsewhere).
    """

    workers: int
    start: float
    pack: float
    trial: float
    end: float
    request: float
    patience: float
    worker_bytes: int
    other_bytes: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: what is expected, and between which it should lie."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a sweep of `trials` trials would take. Sizes are bytes; `memory` is that of all processes on this machine.

    `search` is the time until the search has ended, `whole` until the command has.
    """

    trials: int
    rungs: tuple[tuple[int, int], ...]  # epochs, and how many trials come so far
    epochs: int
    search_epochs: int
    search: Span
    whole: Span
    packs: int
    worker_memory: int
    memory: int | None
    states: int
    journal: int
    snapshot: int
    model: int
    report: int
    requests: int

    @property
    def disk(self) -> int:
        return self.states + self.journal + self.snapshot + self.model + self.report


class Planner:
    """Makes estimates. `ledger_of` makes an empty ledger of the sweep, for any number of trials."""

    def __init__(self, ledger_of: Callable[[int], Ledger], pace: Pace, around: Surroundings) -> None:
        self._ledger_of, self._pace, self._around = ledger_of, pace, around
        self._rehearsed: dict[int, list[Rehearsal]] = {}

    def estimate(self, trials: int) -> Estimate:
        """What `trials` trials would take.

        The sweep is rehearsed with several made-up outcomes. What takes the median time is told; the others widen the
        range, as do differences between rounds of timing.
        """
        pace, around, shown = self._pace, self._around, min(trials, REHEARSED)
        many, rehearsals = trials / shown, self._rehearsals(shown)
        middle = sorted(rehearsals, key=lambda one: one.whole)[len(rehearsals) // 2]
        searched = round(middle.searched * many)  # a grid has an end
        epochs = middle.epochs + (many - 1) * middle.search_epochs
        requests = round((middle.sent + BORN_AND_ENDED * middle.trials) * many) + AROUND_REQUESTS
        unsent = requests * around.request - middle.whole * many
        beside = around.start + around.trial * searched
        end = around.end + min(max(unsent, 0.0), around.patience)
        worker = around.worker_bytes + 2 * max(middle.largest, self._dearest(state_bytes))  # trained, and written
        others = around.other_bytes
        return Estimate(
            trials=searched,
            rungs=tuple(
                (at, round(middle.reached[rung] * many)) for rung, at in enumerate(self._ledger_of(1).rule.rungs)
            ),
            epochs=round(epochs),
            search_epochs=round(middle.search_epochs * many),
            search=_span([one.search * many for one in rehearsals], pace, beside),
            whole=_span([one.whole + (many - 1) * one.search for one in rehearsals], pace, beside + end),
            packs=round(middle.packs * many),
            worker_memory=worker,
            memory=None if others is None else others + around.workers * worker + pace.sizes.stored,
            states=round(middle.stored * many),
            journal=round(epochs * ROW_BYTES + middle.handed * many * HANDED_BYTES),
            snapshot=pace.sizes.stored,
            model=self._dearest(model_bytes),
            report=REPORT_BYTES,
            requests=requests,
        )

    def _rehearsals(self, trials: int) -> list[Rehearsal]:
        if trials not in self._rehearsed:
            self._rehearsed[trials] = [
                rehearse(
                    self._ledger_of(trials),
                    self._pace.pack,
                    lambda params: state_bytes(params, self._pace.sizes),
                    workers=self._around.workers,
                    pack_seconds=self._around.pack,
                    chance=chance,
                )
                for chance in range(_chances(trials))
            ]
        return self._rehearsed[trials]

    def _dearest(self, size: Callable[[Mapping[str, Value], Sizes], int]) -> int:
        """The largest size of a trial among those that were timed, which have the largest that the space holds."""
        return max(size(params, self._pace.sizes) for params in self._pace.timed)


def _span(trained: Sequence[float], pace: Pace, beside: float) -> Span:
    """`trained` are seconds with a worker at work, one for each rehearsal, `beside` those without."""
    return Span(
        median(trained) + beside,
        min(trained) * pace.low + beside * (1 - TOLERANCE),
        max(trained) * pace.high + beside * (1 + TOLERANCE),
    )


def _chances(trials: int) -> int:
    """An odd number, so that one is in the middle."""
    return CHANCES if trials <= REHEARSED // 10 else 3 if trials <= REHEARSED // 2 else 1
