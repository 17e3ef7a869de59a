"""Many continuations of a panda from one epoch, trained side by side, and what to ask it for the best of them.

They are slots of tensor programs, as the trials of a pack are, in as many threads as this machine has cores: their
numbers are those that the panda itself will have under the same settings, so adopting one is a rewind that sets its
values, and its curve is known beforehand.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from models.config import Config
from models.training import Slots, train
from tuner.engine import interrupts
from tuner.engine.assignment import Assignment
from tuner.engine.journal import rows_to_json
from tuner.engine.panda import account, around, line
from tuner.engine.panda.chronicle import LABEL, Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.settings import EPOCHS
from tuner.trial import Row, Stage, Value, seed_of


@dataclass(slots=True)
class Continuation:
    """One way on: what is set after the common epoch (nothing: as it is), and the evaluations from there."""

    name: str
    values: Mapping[str, Value]
    rows: list[Row] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "values": dict(self.values), "rows": rows_to_json(self.rows)}


def drawn(found: Chronicle, epoch: int, names: Sequence[str], trials: int, width: float) -> list[dict[str, Value]]:
    """What to try from `epoch` on, around the settings of the epoch that follows; see `around.draws`.

    What was changed after just this epoch is part of all. ValueError also if the panda cannot go back there.
    """
    found.entry_for(Request(Verb.REWIND, {}, epoch))
    changed = next((change.values for change in found.schedule.changes if change.epoch == epoch), {})
    seed, params = seed_of(found.schedule.seed, "fan-out", epoch, trials), found.schedule.shown(epoch)
    tried = around.draws(params, names, trials=trials, width=width, rows=found.epoch_rows, seed=seed)
    return [{**changed, **values} for values in tried]


def continued(
    given: Assignment, found: Chronicle, epoch: int, to_epoch: int, tried: Sequence[Mapping[str, Value]]
) -> list[Continuation]:
    """Trains a continuation for each of `tried` from `epoch` to `to_epoch`, those of one batch size side by side."""
    made = [Continuation(f"c{number:03d}", values) for number, values in enumerate(tried)]
    base, schedule = line.at(given, found.schedule, epoch), found.schedule.cut(epoch)
    groups: dict[object, list[tuple[Continuation, Config]]] = {}
    for one in made:
        config = Config.of(schedule.changed(epoch, one.values).at(epoch), schedule.seed)
        groups.setdefault(config.shape(), []).append((one, config))
    cores = len(os.sched_getaffinity(0))
    parts = [group[at::cores] for group in groups.values() for at in range(min(cores, len(group)))]
    over = threading.Event()
    with ThreadPoolExecutor(cores) as threads:  # torch lets go of Python while it computes
        try:
            begun = [threads.submit(_train, part, _copies(base, part), given, to_epoch, over) for part in parts]
            for done in wait(begun, return_when=FIRST_EXCEPTION).done:
                done.result()
        finally:
            over.set()  # where one has failed, or this is interrupted, the others end after their epoch
            threads.shutdown(wait=False, cancel_futures=True)
    return made


def best_of(found: Chronicle, made: Sequence[Continuation]) -> Continuation:
    """The one with the best evaluation (or the best last one: objective.select); the first of equals."""
    last = found.created["spec"]["objective"]["select"] == "last"

    def score(one: Continuation) -> float:
        if not one.rows or not math.isfinite(one.rows[-1].val_loss):  # it diverged in the end
            return math.inf
        return min(found.loss_of(row) for row in (one.rows[-1:] if last else one.rows))

    return min(made, key=score)


def adoption(found: Chronicle, made: Sequence[Continuation], epoch: int, to_epoch: int) -> Request | None:
    """What to ask the panda so that it goes on as the best of them, at least as far as they came.

    None if that is the way it goes already.
    """
    best, as_it_is = best_of(found, made), made[0]
    if best is as_it_is:
        return None
    told = f"best of {len(made)} continuations to epoch {to_epoch}: validation loss {_lowest(best):.4g}"
    reason = f"{told}, as it was {_lowest(as_it_is):.4g}"
    facts = {"continuations": [one.to_json() for one in made], "adopted": best.name}
    longer = {EPOCHS: to_epoch} if to_epoch > found.goal else {}
    return Request(Verb.REWIND, {**best.values, **longer}, epoch, reason, facts, found.schedule.key(epoch))


def table(found: Chronicle, made: Sequence[Continuation], shown: int = 8) -> str:
    """The best of them as lines of text."""
    ranked: list[Continuation] = []
    left = list(made)
    while left and len(ranked) < shown:
        ranked.append(best_of(found, left))
        left.remove(ranked[-1])
    return "\n".join(f"{one.name}  {_lowest(one):.5f}  {account.listed(one.values) or 'as it is'}" for one in ranked)


def _copies(base: Slots, group: Sequence[tuple[Continuation, Config]]) -> Slots:
    parts = []
    for one, config in group:
        part = base.select([LABEL])
        part.labels, part.configs = [one.name], [config]
        parts.append(part)
    return Slots.join(parts)


def _train(
    group: Sequence[tuple[Continuation, Config]], slots: Slots, given: Assignment, to_epoch: int, over: threading.Event
) -> None:
    by_name = {one.name: one for one, _ in group}
    arrays = given.arrays(Stage.SEARCH)
    for evaluations in train(
        slots, arrays, order_seed=given.order_seed, to_epoch=to_epoch, epoch_rows=given.epoch_rows
    ):
        interrupts.heed()
        if over.is_set():
            return
        for found in evaluations:
            by_name[found.label].rows.append(line.row_of(found))


def _lowest(one: Continuation) -> float:
    return min((row.val_loss for row in one.rows if math.isfinite(row.val_loss)), default=math.nan)
