"""Real training of a search's trials in this process, one thread; what was trained once is remembered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from benchmarks.simulated import Evaluated
from models.training import Arrays, Slots, loss_and_accuracy, train
from tuner.data.snapshot import Snapshot
from tuner.engine.work import config_of
from tuner.trial import Trial, Value, seed_of

Key = tuple[int, tuple[tuple[str, Value], ...]]  # a trial's seed and hyperparameters


class Trained:
    """Trains the trials of searches that share `seed`, bit for bit as workers would.

    A trial that other searches trained before, with the same seed and hyperparameters, is not trained again.
    """

    def __init__(self, snapshot: Snapshot, seed: int, epoch_rows: int | None) -> None:
        torch.set_num_threads(1)
        X, y = torch.tensor(snapshot.X), torch.tensor(snapshot.y)
        splits = snapshot.splits
        self._arrays = Arrays(X, y, len(snapshot.classes), splits["train"], splits["validation"])
        self._holdout = splits["holdout"]
        self._order, self._epoch_rows = seed_of(seed, "order"), epoch_rows
        self._courses: dict[Key, list[Evaluated]] = {}
        self._stand: dict[Key, Slots] = {}  # each by itself, after the last epoch of its course

    def evaluations(self, trials: list[Trial], begin: int, end: int) -> dict[str, list[Evaluated]]:
        """See `Trainer.evaluations`."""
        behind: dict[int, list[Trial]] = {}
        for trial in trials:
            course = self._courses.setdefault(_key(trial), [])
            if len(course) < end and not (course and math.isnan(course[-1].loss)):
                behind.setdefault(len(course), []).append(trial)
        for epoch, group in behind.items():
            self._train(group, epoch, end)
        return {trial.id: self._courses[_key(trial)][begin:end] for trial in trials}

    def _train(self, trials: Sequence[Trial], epoch: int, end: int) -> None:
        keys = {trial.id: _key(trial) for trial in trials}
        slots = self._begun(trials) if epoch else self._new(trials)
        arrays, rows = self._arrays, self._holdout
        for found in train(slots, arrays, order_seed=self._order, to_epoch=end, epoch_rows=self._epoch_rows):
            held = dict[str, float]()
            if slots.labels:
                losses, _ = loss_and_accuracy(slots.inference(arrays.X[arrays.train]), arrays.X[rows], arrays.y[rows])
                held = dict(zip(slots.labels, losses.tolist(), strict=True))
            for one in found:
                self._courses[keys[one.label]].append(Evaluated(one.val_loss, held.get(one.label, math.nan)))
        for label in slots.labels:
            self._stand[keys[label]] = slots.select([label])

    def _new(self, trials: Sequence[Trial]) -> Slots:
        inputs, classes = self._arrays.X.shape[1], self._arrays.classes
        return Slots.start([trial.id for trial in trials], [config_of(trial) for trial in trials], inputs, classes)

    def _begun(self, trials: Sequence[Trial]) -> Slots:
        return Slots.join([self._stand.pop(_key(trial)) for trial in trials])


def _key(trial: Trial) -> Key:
    return trial.seed, tuple(sorted(trial.params.items()))
