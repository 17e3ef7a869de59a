"""A sweep without training: its own decisions, in a time that is made up, on made-up losses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from tuner.engine.ledger import Ledger
from tuner.trial import Pack, Row, Stage, Trial, Value, seed_of

NOISE = 0.02  # of a made-up loss from epoch to epoch; trials differ by up to 1
SECOND_LOOK = 1.0  # seconds between two looks of MLflow's publisher: a shorter pack is sent at once

Timings = list[tuple[str, int, float]]


@dataclass(slots=True)
class Rehearsal:
    """What happened. `search` and `whole` are seconds until the last pack of the search, and of all, had ended.

    `busy` are the seconds that workers were at work on the search, all of them together; the rest of them they waited.

    `reached` counts the search trials at each rung, `searched` all of them, `trials` those of all stages, `handed`
    those of all packs; `stored` are the bytes of their states, `largest` those of the largest pack; `sent` is how often
    a trial's run has news for MLflow. `told` says that it was not rehearsed whole.
    """

    reached: Counter[int] = field(default_factory=Counter)
    searched: int = 0
    trials: int = 0
    epochs: int = 0
    search_epochs: int = 0
    search: float = 0.0
    whole: float = 0.0
    busy: float = 0.0
    packs: int = 0
    handed: int = 0
    sent: int = 0
    stored: int = 0
    largest: int = 0
    told: bool = False


def rehearse(
    ledger: Ledger,
    timings: Callable[[Pack], Timings],
    state_bytes: Callable[[Mapping[str, Value]], int],
    *,
    workers: int,
    pack_seconds: float,
    chance: int,
) -> Rehearsal:
    """Hands out the packs of an empty `ledger` to `workers` workers until it has finished.

    `timings` says what training takes, `pack_seconds` is what every pack takes beside. Losses fall with the epochs,
    from a level that is drawn for each trial by `chance`: equal arguments rehearse equally. No trial diverges.
    """
    found, running, now = Rehearsal(), list[tuple[float, int, Pack, Timings]](), 0.0
    while True:
        while len(running) < workers and (pack := ledger.ask(workers)):
            taken = timings(pack)
            seconds = pack_seconds + sum(spent for _, _, spent in taken)
            heappush(running, (now + seconds, pack.id, pack, taken))
            _count(found, pack, state_bytes, seconds)
        if not running:
            return found
        now, _, pack, taken = heappop(running)
        rows = [_row(trial, epoch, chance) for trial in pack.trials for epoch in _epochs(pack)]
        holdout = {} if pack.stage is Stage.SEARCH else {trial.id: (1.0, 0.5) for trial in pack.trials}
        ledger.tell(pack.id, rows, taken, holdout)
        ledger.take_changes()
        found.whole = now
        if pack.stage is Stage.SEARCH:
            found.search = now


def _count(found: Rehearsal, pack: Pack, state_bytes: Callable[[Mapping[str, Value]], int], seconds: float) -> None:
    number, epochs = len(pack.trials), len(_epochs(pack))
    size = sum(state_bytes(trial.params) for trial in pack.trials)
    found.packs += 1
    found.handed += number
    found.trials += number if not pack.from_epoch else 0
    found.epochs += number * epochs
    found.sent += number * (2 if seconds > SECOND_LOOK else 1)  # that it has begun, and what it found
    found.largest = max(found.largest, size)
    if pack.stage is Stage.SEARCH:
        found.searched += number if not pack.from_epoch else 0
        found.search_epochs += number * epochs
        found.busy += seconds
        found.reached[pack.rung] += number
        found.stored += size


def _epochs(pack: Pack) -> range:
    return range(pack.from_epoch + 1, pack.to_epoch + 1)


def _row(trial: Trial, epoch: int, chance: int) -> Row:
    """An evaluation; repeats of a trial have its level."""
    level = _drawn(chance, "level", trial.source or trial.id)
    loss = level + 1 / epoch + NOISE * _drawn(chance, "noise", trial.id, epoch)
    return Row(trial.id, epoch, loss, loss, 0.5, 0.1)


def _drawn(*parts: object) -> float:
    """A number in [0, 1) made from `parts`: a generator for each would take most of the rehearsal's time."""
    return seed_of(*parts) / 2**63
