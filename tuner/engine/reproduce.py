"""Trains one trial of a sweep again, alone, and compares its curve with the one it had in its pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuner.engine.assignment import Assignment
from tuner.engine.storage import Storage
from tuner.engine.work import PackRun
from tuner.trial import Pack, Row, Trial

TOLERANCE = 1e-4
"""Relative difference of losses that another processor or library may cause.

On one machine the same kernels run in the same order, whatever pack a trial was in, and curves are equal to the
last bit. Another instruction set sums in another order; float32 keeps 7 digits, and training amplifies the last.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two learning curves. `difference` is the largest relative difference of a training or validation loss."""

    trial: str
    epochs: int
    bitwise: bool
    difference: float
    rows: list[Row]

    @property
    def ok(self) -> bool:
        return self.difference <= TOLERANCE

    def to_json(self) -> dict[str, Any]:
        return {
            "trial": self.trial,
            "epochs": self.epochs,
            "bitwise": self.bitwise,
            "max_relative_difference": self.difference,
            "tolerance": TOLERANCE,
            "ok": self.ok,
            "val_losses": [row.val_loss for row in self.rows],
        }


def retrain(
    sweep: Storage, snapshots: Path, trial: Trial, epochs: int, observe: Callable[[int], None] = lambda _: None
) -> list[Row]:
    """The rows of `trial`, trained alone from its first epoch to `epochs` on the sweep's own data and order.

    `observe` is called with the number of epochs after each.
    """
    run = PackRun(Assignment(sweep, snapshots), Pack(0, trial.stage, 0, 0, epochs, (trial,), "alone"))
    found = list[Row]()
    for rows in run.train():
        found += rows
        observe(len(found))
    return found


def compare(trial: Trial, before: Sequence[Row], after: Sequence[Row]) -> Comparison:
    """Compares evaluation by evaluation; a curve of another length differs infinitely."""
    pairs = list(zip(before, after, strict=False))
    same = len(before) == len(after) and all(_key(a) == _key(b) for a, b in pairs)
    difference = max((_distance(a, b) for a, b in pairs), default=float("inf"))
    if len(before) != len(after):
        difference = float("inf")
    return Comparison(trial.id, len(after), same, difference, list(after))


def with_params(trial: Trial, params: Mapping[str, str], seed: int) -> Trial:
    """`trial` with what its MLflow run says; ValueError where the run and the journal disagree."""
    said = {name: str(value) for name, value in trial.params.items()}
    if dict(params) != said or seed != trial.seed:
        raise ValueError(
            f"the MLflow run of {trial.id} says {dict(params)} with seed {seed}, the journal {said} with seed "
            f"{trial.seed}: one of the two was changed"
        )
    return replace(trial)


def _key(row: Row) -> tuple[str, ...]:
    return tuple(map(repr, (row.epoch, row.train_loss, row.val_loss, row.val_accuracy, row.learning_rate)))


def _distance(a: Row, b: Row) -> float:
    pairs = [(a.train_loss, b.train_loss), (a.val_loss, b.val_loss)]
    return max(0.0 if repr(x) == repr(y) else _relative(x, y) for x, y in pairs)


def _relative(x: float, y: float) -> float:
    scale = max(abs(x), abs(y), 1e-12)
    distance = abs(x - y) / scale
    return distance if distance == distance else float("inf")  # noqa: PLR0124  # NaN on one side only
