"""What a worker does with one pack: load, train, leave the state and the result in storage. No Ray in here."""

from __future__ import annotations

import json
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from models.classifier import Classifier
from models.config import Config
from models.inference import Inference
from models.training import Arrays, Slots, loss_and_accuracy, train
from tuner.data.snapshot import Snapshot
from tuner.engine import weights
from tuner.engine.history import MODEL_FOLDER, result_name
from tuner.engine.journal import Journal, pack_from_json, rows_to_json
from tuner.engine.storage import Storage
from tuner.trial import Pack, Row, Stage, Trial, seed_of


class Assignment:
    """The sweep as a worker sees it: its data, mapped once per process, and the settings that training needs."""

    def __init__(self, sweep: Storage, snapshots: Path) -> None:
        created = Journal(sweep).read(1)
        spec = created["spec"]
        self.sweep = sweep
        self.snapshot = Snapshot.open(snapshots / created["snapshot"]["digest"])
        self.order_seed = seed_of(spec["search"]["seed"], "order")
        self.epoch_rows: int | None = spec["train"]["epoch_rows"]
        objective = spec["objective"]
        self.keep_best: str | None = objective["metric"] if objective["select"] == "best" else None
        torch.set_num_threads(spec["resources"]["cpus_per_worker"])  # the order of sums depends on it
        self.device = torch.device("cuda" if spec["resources"]["gpus_per_worker"] > 0 else "cpu")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
            self._X = torch.from_numpy(self.snapshot.X).to(self.device)
            self._y = torch.from_numpy(self.snapshot.y).to(self.device)

    def arrays(self, stage: Stage) -> Arrays:
        """The rows that a trial of `stage` trains on and is compared on; a refit trains on both."""
        splits, classes = self.snapshot.splits, len(self.snapshot.classes)
        if stage is Stage.REFIT:
            both = slice(splits["train"].start, splits["validation"].stop)
            return Arrays(self._X, self._y, classes, both, None)
        return Arrays(self._X, self._y, classes, splits["train"], splits["validation"])

    def holdout(self, inference: Inference) -> tuple[float, float]:
        """Loss and accuracy of one network on the rows that no search looks at."""
        rows = self.snapshot.splits["holdout"]
        loss, accuracy = loss_and_accuracy(inference, self._X[rows], self._y[rows])
        return float(loss[0]), float(accuracy[0])


@lru_cache(maxsize=4)
def assignment(sweep_uri: str, snapshots: str) -> Assignment:
    """The sweep's assignment, opened once per process."""
    return Assignment(Storage(sweep_uri), Path(snapshots))


def config_of(trial: Trial) -> Config:
    return Config.of(trial.params, trial.seed)


class PackRun:
    """One pack in training."""

    def __init__(self, given: Assignment, pack: Pack) -> None:
        self._given = given
        self._pack = pack
        self._began = time.monotonic()
        self._rows: list[Row] = []
        self._timings: list[tuple[str, int, float]] = []
        self._slots: list[Slots] = []

    @classmethod
    def of(cls, sweep_uri: str, entry: int, snapshots: str) -> PackRun:
        """The pack that entry number `entry` of the sweep's journal holds."""
        given = assignment(sweep_uri, snapshots)
        return cls(given, pack_from_json(Journal(given.sweep).read(entry)["pack"]))

    def train(self) -> Iterator[list[Row]]:
        """Trains shape after shape; yields the rows of each epoch."""
        pack = self._pack
        arrays = self._given.arrays(pack.stage)
        with weights.opened(self._given.sweep, pack.starts.values()) as states:
            for trials in by_shape(pack.trials):
                began, rows_before = time.monotonic(), len(self._rows)
                self._slots.append(self._slots_of(trials, arrays, states))
                yield from self._train(self._slots[-1], arrays)
                self._timings.append((trials[0].id, len(self._rows) - rows_before, time.monotonic() - began))

    def _train(self, slots: Slots, arrays: Arrays) -> Iterator[list[Row]]:
        given, pack = self._given, self._pack
        for evaluations in train(
            slots,
            arrays,
            order_seed=given.order_seed,
            to_epoch=pack.to_epoch,
            epoch_rows=given.epoch_rows,
            keep_best=given.keep_best if pack.stage in (Stage.BASELINE, Stage.CONFIRM) else None,
        ):
            now = time.time()
            rows = [
                Row(one.label, one.epoch, one.train_loss, one.val_loss, one.val_accuracy, one.learning_rate, now)
                for one in evaluations
            ]
            self._rows += rows
            yield rows

    def finish(self) -> None:
        """Writes the weights of the trials that may go on, then the result; the result says that all is there."""
        sweep, pack = self._given.sweep, self._pack
        if pack.stage is Stage.SEARCH:
            weights.save(sweep, pack.id, self._slots)
        holdout = {} if pack.stage is Stage.SEARCH else self._holdout()
        result = {"rows": rows_to_json(self._rows), "timings": self._timings, "holdout": holdout}
        result |= {"seconds": time.monotonic() - self._began, "host": socket.gethostname()}
        sweep.write(result_name(pack.id), json.dumps(result, allow_nan=False).encode())

    def _slots_of(self, trials: Sequence[Trial], arrays: Arrays, states: weights.States) -> Slots:
        """The trials as slots: fresh ones at rung 0, else as the packs before left them."""
        labels, configs = [trial.id for trial in trials], [config_of(trial) for trial in trials]
        inputs, begin = arrays.X.shape[1], self._pack.from_epoch
        if not begin:
            return Slots.start(labels, configs, inputs, arrays.classes)
        starts = {label: self._pack.starts[label] for label in labels}
        return states.gather(starts, configs, begin, inputs=inputs, classes=arrays.classes)

    def _holdout(self) -> dict[str, tuple[float, float]]:
        """Holdout figures of each network that is left; the refitted winner is exported on the way."""
        found = {}
        arrays = self._given.arrays(self._pack.stage)
        for slots in self._slots:
            kept = slots.best if self._given.keep_best and self._pack.stage is not Stage.REFIT else {}
            last = slots.inference(arrays.X[arrays.train])
            for at, (label, config) in enumerate(zip(slots.labels, slots.configs, strict=True)):
                network = kept.get(label) or last.single(at, config.widths)
                found[label] = self._given.holdout(network)
                if self._pack.stage is Stage.REFIT and self._pack.trials[0].number == 0:
                    self._export(network)
        return found

    def _export(self, network: Inference) -> None:
        snapshot = self._given.snapshot
        with tempfile.TemporaryDirectory() as folder:
            Classifier(snapshot.encoder, network, snapshot.classes).save(Path(folder))
            for file in sorted(Path(folder).iterdir()):
                self._given.sweep.write(f"{MODEL_FOLDER}/{file.name}", file.read_bytes())
        self._given.sweep.write(f"{MODEL_FOLDER}/sample.json", (snapshot.directory / "sample.json").read_bytes())


def by_shape(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials that can be trained as one tensor program, side by side; in order of first appearance."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(config_of(trial).shape(), []).append(trial)
    return list(groups.values())
