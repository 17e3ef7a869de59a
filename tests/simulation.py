"""A trainer without training: what packs would return, as a pure function of the trial, for tests of decisions."""

from __future__ import annotations

import math
from random import Random

from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.records import Terms
from tuner.search import samplers, stopping
from tuner.search.space import Axis, Choice, LogUniform, Space
from tuner.trial import Pack, Row, Stage, seed_of

AXES = (Axis("learning_rate", LogUniform(1e-4, 1.0)), Axis("batch_size", Choice((32, 64))))
SPACE = Space(AXES, {"hidden_layers": 1, "hidden_units": 8})


def make_ledger(trials: int = 40, rule: str = "asha", confirm: int = 2, sampler: str = "random") -> Ledger:
    """A ledger over a small space, with rungs at 1, 3 and 9 epochs."""
    return Ledger(
        Terms(seed=3, trials=trials, confirm=confirm, seeds=2, in_step=rule in stopping.WHOLE_RUNGS),
        SPACE,
        samplers.make(sampler, SPACE, 3, trials),
        stopping.make(rule, 1, 9, 3),
        CostModel(inputs=20, classes=3, rows=200_000, shape_of=lambda trial: trial.params["batch_size"]),
    )


def loss_at(seed: int, learning_rate: float, epoch: int) -> float:
    """A learning curve with its optimum near 0.03; NaN from some epoch on for one trial in twenty."""
    random = Random(seed_of(seed, "curve"))
    if random.random() < 0.05 and epoch >= 2:
        return math.nan
    return abs(math.log10(learning_rate / 0.03)) + 1.0 / epoch + 0.1 * random.random()


def train(pack: Pack) -> tuple[list[Row], list[tuple[str, int, float]], dict[str, tuple[float, float]]]:
    """Rows, timings and holdout figures that a worker would return for `pack`."""
    rows: list[Row] = []
    for trial in pack.trials:
        for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1):
            loss = loss_at(trial.seed, float(trial.params["learning_rate"]), epoch)
            val_loss = math.nan if pack.stage is Stage.REFIT else loss
            rows.append(Row(trial.id, epoch, loss, val_loss, 0.5, 0.1, 1000.0 + epoch))
            if math.isnan(loss):
                break
    seconds = 0.05 * len(rows)
    holdout = {} if pack.stage is Stage.SEARCH else {trial.id: (1.0, 0.5) for trial in pack.trials}
    return rows, [(pack.trials[0].id, len(rows), seconds)], holdout
