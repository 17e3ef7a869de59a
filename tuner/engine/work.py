"""What a worker does with one pack: load, train, leave the state and the result in storage. No Ray in here."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.classifier import Classifier
from models.config import Config
from models.inference import Inference
from models.training import Arrays, Slots, train
from tuner.engine import checkpoint, control, examined, weights
from tuner.engine.assignment import Assignment, assignment
from tuner.engine.checkpoint import Progress
from tuner.engine.journal import Journal, pack_from_json, rows_to_json
from tuner.engine.objects import MODEL_FOLDER, result_name
from tuner.trial import Pack, Row, Stage, Trial

CHECKPOINT_SECONDS = 60.0  # so much of a pack's training is lost at most with its worker


class PackRun:
    """One pack in training; what an earlier attempt at it left is taken up."""

    def __init__(self, given: Assignment, pack: Pack) -> None:
        self._given = given
        self._pack = pack
        self._shapes = by_shape(pack.trials)
        self._done = Progress()
        self._looked = self._saved = time.monotonic()

    @classmethod
    def of(cls, sweep_uri: str, entry: int, snapshots: str) -> PackRun:
        """The pack that entry number `entry` of the sweep's journal holds."""
        given = assignment(sweep_uri, snapshots)
        return cls(given, pack_from_json(Journal(given.sweep).read(entry)["pack"]))

    def run(self) -> Iterator[list[Row]]:
        """Trains, yields the rows of each epoch, and leaves the result in storage.

        Where the sweep is told to stop, it ends after an evaluation instead, and leaves what it has done so far.
        """
        sweep, pack, arrays = self._given.sweep, self._pack, self._given.arrays(self._pack.stage)
        began = time.monotonic()
        sizes = {"inputs": arrays.X.shape[1], "classes": arrays.classes}
        self._done = checkpoint.load(sweep, pack.id, self._shapes, **sizes)
        earlier = self._done.seconds
        if self._done.rows:
            yield self._done.rows
        for rows in self.train():
            yield rows
            self._done.seconds = earlier + time.monotonic() - began
            if self._told_to_end():
                checkpoint.save(sweep, pack.id, self._done)
                return
        self._finish()
        checkpoint.remove(sweep, pack.id)

    def train(self) -> Iterator[list[Row]]:
        """Trains shape after shape from where each stands; yields the rows of each epoch."""
        pack, done = self._pack, self._done
        arrays = self._given.arrays(pack.stage)
        with weights.opened(self._given.sweep, pack.starts.values()) as states:
            for at, trials in enumerate(self._shapes):
                began, rows_before = time.monotonic(), len(done.rows)
                if at == len(done.groups):
                    done.groups.append(self._slots_of(trials, arrays, states))
                yield from self._train(done.groups[at], arrays)
                if len(done.rows) > rows_before:
                    done.timings.append((trials[0].id, len(done.rows) - rows_before, time.monotonic() - began))

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
            self._done.rows += rows
            yield rows

    def _told_to_end(self) -> bool:
        """Whether people want the pack to end here; saves its state every now and then on the way."""
        now, sweep = time.monotonic(), self._given.sweep
        if now - self._looked > control.LOOK_SECONDS:
            self._looked = now
            command = control.asked(sweep)
            if command and command.ends_packs:
                return True
        if now - self._saved > CHECKPOINT_SECONDS:
            checkpoint.save(sweep, self._pack.id, self._done)
            self._saved = time.monotonic()
        return False

    def _finish(self) -> None:
        """Writes the weights of the trials that may go on, then the result; the result says that all is there."""
        sweep, pack, done = self._given.sweep, self._pack, self._done
        if pack.stage is Stage.SEARCH:
            weights.save(sweep, pack.id, done.groups)
        holdout = {} if pack.stage is Stage.SEARCH else self._holdout()
        result = {"rows": rows_to_json(done.rows), "timings": done.timings, "holdout": holdout}
        result |= {"seconds": done.seconds, "host": socket.gethostname()}
        sweep.write(result_name(pack.id), json.dumps(result, allow_nan=False).encode())

    def _slots_of(self, trials: Sequence[Trial], arrays: Arrays, states: weights.States) -> Slots:
        """The trials as slots: fresh ones of epoch 0, else as the packs before left them."""
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
        for slots in self._done.groups:
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
        model = Classifier(snapshot.encoder, network, snapshot.classes)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            for file in sorted(Path(folder).iterdir()):
                self._given.sweep.write(f"{MODEL_FOLDER}/{file.name}", file.read_bytes())
        self._given.sweep.write(f"{MODEL_FOLDER}/sample.json", (snapshot.directory / "sample.json").read_bytes())
        examined.leave(self._given.sweep, model, snapshot)


def by_shape(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials that can be trained as one tensor program, side by side; in order of first appearance."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(config_of(trial).shape(), []).append(trial)
    return list(groups.values())


def config_of(trial: Trial) -> Config:
    return Config.of(trial.params, trial.seed)
