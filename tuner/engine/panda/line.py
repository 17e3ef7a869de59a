"""A schedule trained: on from where slots stand, to any epoch of it, or all of it again from the first weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from models.config import Config
from models.training import Evaluation, Slots, train
from tuner.engine.assignment import Assignment
from tuner.engine.panda import states
from tuner.engine.panda.chronicle import LABEL, Chronicle
from tuner.engine.panda.schedule import Schedule
from tuner.engine.reproduce import Comparison, compare
from tuner.trial import Row, Stage, Trial


def advance(slots: Slots, schedule: Schedule, given: Assignment, to_epoch: int) -> Iterator[Row]:
    """Trains the one slot in place from where it stands up to `to_epoch`; yields the row of each epoch.

    Ends early where it diverges, after a row whose losses say so.
    """
    arrays = given.arrays(Stage.SEARCH)
    while slots.labels and slots.epoch < to_epoch:
        slots.configs = [Config.of(schedule.at(slots.epoch), schedule.seed)]
        until = min(to_epoch, schedule.next_change(slots.epoch) or to_epoch)
        for (evaluation,) in train(
            slots, arrays, order_seed=given.order_seed, to_epoch=until, epoch_rows=given.epoch_rows
        ):
            yield row_of(evaluation)


def at(given: Assignment, schedule: Schedule, epoch: int) -> Slots:
    """The slot after `epoch` epochs, from the nearest state before it: what is between is trained again."""
    arrays = given.arrays(Stage.SEARCH)
    slots = states.nearest(given.sweep, schedule, epoch, inputs=arrays.X.shape[1], classes=arrays.classes)
    for _ in advance(slots, schedule, given, epoch):
        pass
    if not slots.labels:
        raise RuntimeError(
            f"{given.sweep.uri} diverged before epoch {epoch}, where it had not before: this machine or its libraries "
            "are others than those it was trained with"
        )
    slots.configs = [Config.of(schedule.at(max(epoch - 1, 0)), schedule.seed)]
    return slots


def reproduce(given: Assignment, chronicle: Chronicle) -> Comparison:
    """The whole line trained again from its first weights, without any stored state, beside what was evaluated."""
    schedule = chronicle.schedule
    arrays = given.arrays(Stage.SEARCH)
    config = Config.of(schedule.at(0), schedule.seed)
    slots = Slots.start([LABEL], [config], arrays.X.shape[1], arrays.classes)
    rows = list(advance(slots, schedule, given, chronicle.epoch))
    trial = Trial(str(chronicle.created["sweep"]), 0, schedule.seed, schedule.params)
    return compare(trial, [replace(row, trial=LABEL) for row in chronicle.rows], rows)


def row_of(one: Evaluation) -> Row:
    """The evaluation as the journal has it."""
    figures = (one.train_loss, one.val_loss, one.val_accuracy, one.learning_rate)
    return Row(one.label, one.epoch, *figures, time.time())
