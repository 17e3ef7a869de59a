"""A sweep's search without Ray: the product's own decisions, workers on a clock that only counts what packs cost."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.work import by_shape
from tuner.trial import Pack, Row, Stage, Trial

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation: losses in nats on the validation rows, which the search sees, and on the holdout, unseen by it.

    Where the loss is not finite, both are NaN: the trial diverged.
    """

    loss: float
    holdout: float


class Trainer(Protocol):
    """Trains one search's trials."""

    def evaluations(self, trials: list[Trial], begin: int, end: int) -> dict[str, list[Evaluated]]:
        """By trial what follows each of the epochs `begin` + 1 to `end`; the last one, if it diverges before.

        The `trials` share a shape, and stand at `begin`.
        """


def search(ledger: Ledger, trainer: Trainer) -> list[tuple[Row, Evaluated]]:
    """The evaluations of the whole search, in the order in which two workers make them.

    An epoch takes the time that the ledger's cost model expects, as if it were right. The stages after the search are
    left out.
    """
    clock, seen = 0.0, list[tuple[Row, Evaluated]]()
    running = list[tuple[float, int, list[Row]]]()  # (when it ends, pack, rows), a heap
    while True:
        while len(running) < WORKERS and (pack := ledger.ask(WORKERS)) and pack.stage is Stage.SEARCH:
            trained = list(_trained(pack, trainer, ledger.cost, clock))
            seen += trained
            rows = [row for row, _ in trained]
            heapq.heappush(running, (rows[-1].time, pack.id, rows))
        if not running:
            return sorted(seen, key=lambda one: one[0].time)
        clock, pack_id, rows = heapq.heappop(running)
        ledger.tell(pack_id, rows)


def _trained(pack: Pack, trainer: Trainer, cost: CostModel, clock: float) -> Iterator[tuple[Row, Evaluated]]:
    """The pack's rows as a worker makes them that begins at `clock`: shape after shape, epoch after epoch."""
    for trials in by_shape(pack.trials):
        found = trainer.evaluations(trials, pack.from_epoch, pack.to_epoch)
        for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1):
            for trial in trials:
                if len(found[trial.id]) >= epoch - pack.from_epoch:
                    one = found[trial.id][epoch - pack.from_epoch - 1]
                    clock += cost.seconds(trial, 1)
                    yield Row(trial.id, epoch, one.loss, one.loss, 0.0, 0.0, clock), one
