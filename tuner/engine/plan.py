"""What a sweep would take, from what was timed: time with a range, space, requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tuner.engine.ledger import Ledger
from tuner.engine.pace import Pace, Sizes, model_bytes, state_bytes
from tuner.engine.rehearsal import Rehearsal, rehearse
from tuner.engine.rehearsals import Rehearsals, Sweeps
from tuner.trial import Value

TOLERANCE = 0.15  # of what is not training: starts and ends differ by so much from run to run
TOLD = 0.15  # of training in a sweep that is told from smaller ones: packs fill, and boxes narrow, as sweeps grow

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
    """Makes estimates of `sweeps`, at the `pace` of the workers that are `around`."""

    def __init__(self, sweeps: Sweeps, pace: Pace, around: Surroundings) -> None:
        self._sweeps, self._pace, self._around = sweeps, pace, around
        self._rehearsals = Rehearsals(sweeps, self._rehearse, around.workers)

    def estimate(self, trials: int) -> Estimate:
        """What a sweep that is asked for `trials` trials would take.

        The sweep is rehearsed with several made-up outcomes. What takes the median time is told; the others widen the
        range, as do differences between rounds of timing.
        """
        pace, around, rehearsals = self._pace, self._around, self._rehearsals.of(trials)
        found = sorted(rehearsals, key=lambda one: one.whole)[len(rehearsals) // 2]
        requests = found.sent + BORN_AND_ENDED * found.trials + AROUND_REQUESTS
        beside = around.start + around.trial * found.searched
        end = around.end + min(max(requests * around.request - found.whole, 0.0), around.patience)
        spread = TOLD if found.told else 0.0
        worker = around.worker_bytes + 2 * max(found.largest, self._dearest(state_bytes))  # trained, and written
        others = around.other_bytes
        return Estimate(
            trials=found.searched,
            rungs=tuple((at, found.reached[rung]) for rung, at in enumerate(self._sweeps.ledger(1, None).rule.rungs)),
            epochs=found.epochs,
            search_epochs=found.search_epochs,
            search=_span([one.search for one in rehearsals], pace, beside, spread),
            whole=_span([one.whole for one in rehearsals], pace, beside + end, spread),
            packs=found.packs,
            worker_memory=worker,
            memory=None if others is None else others + around.workers * worker + pace.sizes.stored,
            states=found.stored,
            journal=found.epochs * ROW_BYTES + found.handed * HANDED_BYTES,
            snapshot=pace.sizes.stored,
            model=self._dearest(model_bytes),
            report=REPORT_BYTES,
            requests=requests,
        )

    def _rehearse(self, ledger: Ledger, chance: int) -> Rehearsal:
        return rehearse(
            ledger,
            self._pace.pack,
            lambda params: state_bytes(params, self._pace.sizes),
            workers=self._around.workers,
            pack_seconds=self._around.pack,
            chance=chance,
        )

    def _dearest(self, size: Callable[[Mapping[str, Value], Sizes], int]) -> int:
        """The largest size of a trial among those that were timed, which have the largest that the space holds."""
        return max(size(params, self._pace.sizes) for params in self._pace.timed)


def _span(trained: Sequence[float], pace: Pace, beside: float, spread: float) -> Span:
    """`trained` are seconds with a worker at work, one for each rehearsal, `beside` those without.

    `spread` is what else may be wrong with the former, as a part of them.
    """
    return Span(
        median(trained) + beside,
        min(trained) * max(pace.low - spread, 0.0) + beside * (1 - TOLERANCE),
        max(trained) * (pace.high + spread) + beside * (1 + TOLERANCE),
    )
